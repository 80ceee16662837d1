-- Remove the database. ARGV: format.

-- include common
-- include chunks
-- include read_state
-- include check_permission
-- include pending

local state, refusal = read_state()
if refusal then
    return refusal
end
refusal = pending_refusal(redis.call('HGET', META, 'pending'), state)
if refusal then
    return refusal
end
local keys = {META, PREFIX .. 'heads', PREFIX .. 'counters', PREFIX .. 'locks', PREFIX .. 'history', PREFIX .. 'processes'}
for _, field in ipairs(redis.call('HKEYS', META)) do
    if string.sub(field, 1, 2) == 's:' then
        for _, kind in ipairs({'s:', 'o:', 'k:', 'v:'}) do
            keys[#keys + 1] = PREFIX .. kind .. string.sub(field, 3)
        end
    end
end
refusal = check_permission({{'UNLINK', META, PREFIX .. 'heads', PREFIX .. 's:r0'}})
if refusal then
    return refusal
end
chunks(#keys, function(first, last)
    redis.call('UNLINK', unpack(keys, first, last))
end)
