-- Copy the newest version of a database. ARGV: format; then, to copy it into an empty database of the same server, the
-- name of that database's meta hash and its incarnation.
-- Without them returns {state, DUMP of the counters, spaces, for each space: DUMP of its values, DUMP of its order}.

-- include common
-- include read_state
-- include check_permission
-- include pending

local state, refusal = read_state()
refusal = refusal or pending_refusal(redis.call('HGET', META, 'pending'), state)
if refusal then
    return refusal
end
local dropped = {}
for _, head in ipairs(redis.call('LRANGE', PREFIX .. 'heads', 0, -1)) do
    local _, _, written, pos = struct.unpack('>dI4c0I4', head)
    while pos <= #head do
        local space
        space, pos = struct.unpack('>I4c0', head, pos)
        dropped[space] = written <= 0 or nil
        written = written - 1
    end
end
local spaces = {}
for _, field in ipairs(redis.call('HKEYS', META)) do
    if string.sub(field, 1, 2) == 's:' and not dropped[field] then
        spaces[#spaces + 1] = string.sub(field, 3)
    end
end

if not ARGV[2] then
    local answer = {state, redis.call('DUMP', PREFIX .. 'counters'), spaces}
    for _, space in ipairs(spaces) do
        answer[#answer + 1] = redis.call('DUMP', PREFIX .. 's:' .. space)
        answer[#answer + 1] = redis.call('DUMP', PREFIX .. 'o:' .. space)
    end
    return answer
end

refusal = check_permission({{'COPY', META, ARGV[2], 'REPLACE'}, {'HSET', ARGV[2], 'a', 'b'}})
if refusal then
    return refusal
end
local function copy(part)
    -- REPLACE: if the answer was lost, the client sends the script again, and the source may have changed since.
    redis.call('COPY', PREFIX .. part, string.sub(ARGV[2], 1, -5) .. part, 'REPLACE')
end
copy('counters')
for _, space in ipairs(spaces) do
    copy('s:' .. space)
    copy('o:' .. space)
    local field = redis.call('HGET', META, 's:' .. space)
    if #field == FILLED and redis.call('EXISTS', PREFIX .. 's:' .. space) == 0 then
        return redis.error_reply('MISSING ' .. PREFIX .. 's:' .. space)
    end
    redis.call('HSET', ARGV[2], 's:' .. space, string.sub(state, 1, 8) .. string.sub(field, 9))
end
if state then
    local version, _, _, catalog = numbers_of(state)
    local its_state = struct.pack('>I8I8I8I8', version, version, 0, catalog) .. ARGV[3] .. string.sub(state, 41)
    redis.call('HSET', ARGV[2], 'state', its_state, 'format', ARGV[1])
    redis.call('HSET', string.sub(ARGV[2], 1, -5) .. 'counters', '', '1')
    redis.call('HSET', ARGV[2], 'counters', '1')
end
