-- Remove the database. ARGV: format.

local _, refusal = read_state()
if refusal then
    return refusal
end
local keys = {
    META, PREFIX .. 'log', PREFIX .. 'trim', PREFIX .. 'counters', PREFIX .. 'locks', PREFIX .. 'digests'
}
for _, field in ipairs(redis.call('HKEYS', META)) do
    if string.sub(field, 1, 2) == 's:' then
        keys[#keys + 1] = PREFIX .. field
        keys[#keys + 1] = PREFIX .. 'o:' .. string.sub(field, 3)
    end
end
refusal = check_permission({{'UNLINK', META, PREFIX .. 'log', PREFIX .. 's:r0'}})
if refusal then
    return refusal
end
chunks(#keys, function(first, last)
    redis.call('UNLINK', unpack(keys, first, last))
end)
