-- Make a staged copy the contents of this empty database, all at once (copying.py). ARGV: format, token of the copy,
-- state, number of counters, for each counter its name and its last number; then s:SPACE of each space, and 1 if it must
-- have keys, else 0. Returns {'published'}, {'not empty'}, or {'unstaged'} if a staged key is missing.

-- include common
-- include chunks
-- include check_permission

local staged, state, first = PREFIX .. 'staged:' .. ARGV[2] .. ':', ARGV[3], 5 + 2 * ARGV[4]
local found = redis.call('HGET', META, 'state')
if found and string.sub(found, 33, 40) == string.sub(state, 33, 40) then
    return {'published'} -- the answer was lost, and the request was sent again
end

-- The keys of the copy, without what their names begin with, and the fields of the spaces in the meta hash.
local keys, fields = {}, {}
for i = first, #ARGV, 2 do
    local space, name = ARGV[i], string.sub(ARGV[i], 3)
    local here = {space}
    if string.sub(name, 1, 1) ~= 'i' then
        here[2] = 'o:' .. name
    end
    local there = 0
    for _, key in ipairs(here) do
        local exists = redis.call('EXISTS', staged .. key)
        if exists == 1 then
            keys[#keys + 1] = key
        end
        there = there + exists
    end
    if there ~= #here and (there > 0 or ARGV[i + 1] == '1') then
        return {'unstaged'}
    end
    fields[#fields + 1] = space
    fields[#fields + 1] = string.sub(state, 1, 8) .. (there > 0 and '\1' or '')
end
-- To ask for the keys also means that a cluster which is moving some of them refuses the script before its first write.
local targets = {META, PREFIX .. 'counters', PREFIX .. 'heads', PREFIX .. 'history'}
for i, key in ipairs(keys) do
    targets[4 + i] = PREFIX .. key
end
local is_empty = true
chunks(#targets, function(from, to)
    is_empty = redis.call('EXISTS', unpack(targets, from, to)) == 0 and is_empty
end)
if not is_empty then
    return {'not empty'}
end
local counters = PREFIX .. 'counters'
local refusal = check_permission({
    {'RENAME', staged .. 's:r1', PREFIX .. 's:r1'}, {'PERSIST', counters}, {'HSET', counters, 'a', 'b'},
    {'HSET', META, 'a', 'b'}
})
if refusal then
    return refusal
end

redis.call('HSET', counters, '', '1')
for i = 5, first - 1, 2 do
    redis.call('HSET', counters, ARGV[i], ARGV[i + 1])
end
for _, key in ipairs(keys) do
    redis.call('PERSIST', staged .. key)
    redis.call('RENAME', staged .. key, PREFIX .. key)
end
chunks(#fields, function(from, to)
    redis.call('HSET', META, unpack(fields, from, to))
end)
redis.call('HSET', META, 'state', state, 'format', ARGV[1], 'counters', '1')
return {'published'}
