-- The newest version of a database, for a copy of it. ARGV: format, and the meta hash of an empty database of the same
-- server to copy it into, with its incarnation; without them, the answer has everything.
-- Answers {version, catalog, digests, DUMP of the counters, spaces, for each space: DUMP of its values, DUMP of its
-- order}.

local meta, refusal = read_meta()
if refusal then
    return refusal
end
local dropped = {}
for _, entry in ipairs(redis.call('LRANGE', name('trim'), 0, -1)) do
    local _, _, pos = struct.unpack('>dI4c0', entry)
    while pos <= #entry do
        local space
        space, pos = struct.unpack('>I4c0', entry, pos)
        dropped[space] = true
    end
end
local spaces = {}
for _, space in ipairs(redis.call('HKEYS', name('written'))) do
    if not dropped[space] then
        spaces[#spaces + 1] = space
    end
end

if not ARGV[2] then
    local counters = redis.call('DUMP', name('counters'))
    local answer = {digits(meta.version), digits(meta.catalog), meta.digests, counters, spaces}
    for _, space in ipairs(spaces) do
        answer[#answer + 1] = redis.call('DUMP', name('s:' .. space))
        answer[#answer + 1] = redis.call('DUMP', name('o:' .. space))
    end
    return answer
end

local function copy(part)
    -- REPLACE: the client may ask again, when the answer was lost and the source has moved on.
    redis.call('COPY', name(part), string.sub(ARGV[2], 1, -5) .. part, 'REPLACE')
end
copy('counters')
for _, space in ipairs(spaces) do
    copy('s:' .. space)
    copy('o:' .. space)
    redis.call('HSET', string.sub(ARGV[2], 1, -5) .. 'written', space, digits(meta.version))
end
if meta.version > 0 then
    local its_digests = ARGV[3] .. string.sub(meta.digests, 9)
    redis.call('HSET', ARGV[2], 'version', digits(meta.version), 'catalog', digits(meta.catalog), 'horizon',
        digits(meta.version), 'format', digits(meta.format), 'log_bytes', '0', 'digests', its_digests)
end
