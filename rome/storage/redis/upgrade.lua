-- Bring a database of format 2 to format 3. ARGV: format. Returns the format that it had, in digits, or a refusal.
-- Snapshots of before can't be read any more: the log begins anew. The format is written by one command, before what
-- only the former one needs is removed; so a script that is stopped has done nothing, or leaves unused keys.

-- include common
-- include chunks
-- include check_permission

local OLD, RECORDS = '2', 131072

local found = redis.call('HMGET', META, 'state', 'format')
local state, format = found[1], found[2]
if not format or format == ARGV[1] then
    return format or ARGV[1]
end
if format ~= OLD then
    return {'format', format}
end
if #(state or '') ~= 56 then
    return {'state'}
end
local key = PREFIX .. 'log'
local refusal = check_permission({
    {'GET', key}, {'LRANGE', key, '0', '-1'}, {'SETRANGE', key, '0', 'a'}, {'HSET', META, 'a', 'b'},
    {'HDEL', META, 'a'}, {'UNLINK', key}
})
if refusal then
    return refusal
end

-- The digests get room for the catalog's version and digest, which only versions in the log need.
local digests = redis.call('GET', PREFIX .. 'digests') or ''
redis.call('UNLINK', PREFIX .. 'history')
for first = 1, RECORDS, CHUNK do
    local records = {}
    for i = first, math.min(first + CHUNK - 1, RECORDS, #digests / 8) do
        records[#records + 1] = string.sub(digests, 8 * i - 7, 8 * i) .. string.rep('\0', 16)
    end
    if #records > 0 then
        redis.call('SETRANGE', PREFIX .. 'history', 24 * (first - 1), table.concat(records))
    end
end

local gone, unlinked = {}, {PREFIX .. 'log', PREFIX .. 'trim', PREFIX .. 'digests'}
for _, entry in ipairs(redis.call('LRANGE', PREFIX .. 'trim', 0, -1)) do
    local _, token, pos = struct.unpack('>dI4c0', entry)
    gone[#gone + 1] = '+' .. token
    while pos <= #entry do
        local space
        space, pos = struct.unpack('>I4c0', entry, pos)
        gone[#gone + 1] = space
        unlinked[#unlinked + 1], unlinked[#unlinked + 2] = PREFIX .. space, PREFIX .. 'o:' .. string.sub(space, 3)
    end
end
local newest = string.sub(state, 1, 8)
redis.call('HSET', META, 'format', ARGV[1], 'state', newest .. newest .. string.rep('\0', 8) .. string.sub(state, 25))
chunks(#gone, function(first, last)
    redis.call('HDEL', META, unpack(gone, first, last))
end)
chunks(#unlinked, function(first, last)
    redis.call('UNLINK', unpack(unlinked, first, last))
end)
return format
