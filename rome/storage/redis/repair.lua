-- Undo a commit that was stopped halfway: restore the old values, which were logged before any was replaced, and make a
-- version without changes of it. ARGV: format. Returns {'repaired'}, or a refusal.
-- The log begins anew, because the commit may have trimmed it.

-- include common
-- include chunks
-- include digits
-- include numbers_of
-- include read_state
-- include check_permission

local state, refusal = read_state()
if refusal then
    return refusal
end
if redis.call('HGET', META, 'pending') ~= '!' then
    return {'repaired'}
end
local version = numbers_of(state)
local id = digits(version + 1) .. '-0'

local function logged(name)
    local found = redis.call('XRANGE', PREFIX .. name, id, id)
    return found[1] and found[1][2]
end

-- Return the keys of a space and their old values; nil if they were not logged completely, so nothing was replaced.
local function olds_of(name)
    local fields = logged('k:' .. name)
    local olds = fields and fields[3]
    if fields and string.sub(olds, 1, 1) < '2' then
        local apart = logged('v:' .. name)
        olds = apart and apart[1]
    end
    if olds then
        return cmsgpack.unpack(fields[2]), cmsgpack.unpack(olds)
    end
end

-- Give what an emptied space had its own name again.
local function restore_emptied(name, moved)
    for _, kind in ipairs({'s:', 'o:'}) do
        if redis.call('EXISTS', PREFIX .. kind .. moved) == 1 then
            redis.call('RENAME', PREFIX .. kind .. moved, PREFIX .. kind .. name)
        end
    end
end

local function restore(name)
    local keys, olds = olds_of(name)
    local values, order = PREFIX .. 's:' .. name, PREFIX .. 'o:' .. name
    local is_index = string.sub(name, 1, 1) == 'i'
    if type(keys) == 'string' then
        restore_emptied(name, keys)
        return
    end
    for i, key in ipairs(keys or {}) do
        if is_index then
            order = values
        elseif olds[i] then
            redis.call('HSET', values, key, olds[i])
        else
            redis.call('HDEL', values, key)
        end
        if olds[i] then
            redis.call('ZADD', order, '0', key)
        else
            redis.call('ZREM', order, key)
        end
    end
end

local order = PREFIX .. 'o:r0'
refusal = check_permission({
    {'HSET', META, 'a', 'b'}, {'HDEL', META, 'a'}, {'EXISTS', order}, {'ZADD', order, '0', 'a'}, {'ZREM', order, 'a'},
    {'SETRANGE', PREFIX .. 'history', '0', 'a'}, {'UNLINK', PREFIX .. 'heads'}
})
if refusal then
    return refusal
end
-- Its head comes after those of the versions in the log. (The commit may have removed the oldest ones already.)
local head, token = redis.call('LRANGE', PREFIX .. 'heads', -1, -1)[1], ''
if head then
    local _, its_token, written, pos = struct.unpack('>dI4c0I4', head)
    token = its_token
    local names = {}
    for i = 1, written do
        local space
        space, pos = struct.unpack('>I4c0', head, pos)
        names[i] = string.sub(space, 3)
        local keys = olds_of(names[i])
        if type(keys) == 'string' then
            refusal = check_permission({{'RENAME', order, order}})
        end
    end
    if refusal then
        return refusal
    end
    for _, name in ipairs(names) do
        restore(name)
    end
end
redis.call('UNLINK', PREFIX .. 'heads')
local gone = {}
for _, field in ipairs(redis.call('HKEYS', META)) do
    if string.sub(field, 1, 1) == '+' then
        gone[#gone + 1] = field
    end
end
chunks(#gone, function(first, last)
    redis.call('HDEL', META, unpack(gone, first, last))
end)
if not state then
    redis.call('HSET', META, 'pending', '')
    return {'repaired'}
end
local digest = string.sub(state, -8)
local hex = redis.sha1hex(digest .. token .. '!')
local next = struct.pack('>I4I4', tonumber(string.sub(hex, 1, 8), 16), tonumber(string.sub(hex, 9, 16), 16))
local place, packed = version % 131072 * 24, struct.pack('>I8', version + 1)
redis.call('SETRANGE', PREFIX .. 'history', place, digest .. string.sub(state, 25, 32) .. string.sub(state, 41, 48))
redis.call('HSET', META, 'pending', '', 'state',
    packed .. packed .. string.rep('\0', 8) .. string.sub(state, 25, 48) .. next)
return {'repaired'}
