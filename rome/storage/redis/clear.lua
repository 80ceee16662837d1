-- Remove the database. ARGV: format.

local _, refusal = read_state()
if refusal then
    return refusal
end
for _, field in ipairs(redis.call('HKEYS', META)) do
    if string.sub(field, 1, 2) == 's:' then
        redis.call('UNLINK', PREFIX .. field, PREFIX .. 'o:' .. string.sub(field, 3))
    end
end
redis.call('UNLINK', META, PREFIX .. 'log', PREFIX .. 'trim', PREFIX .. 'counters', PREFIX .. 'locks',
    PREFIX .. 'digests')
