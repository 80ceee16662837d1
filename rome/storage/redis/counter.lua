-- Allocate numbers of a counter, or advance it. ARGV: format, 'allocate' or 'advance', counter, number.
-- Returns the last number that was allocated, as digits: a Lua number would round it.

-- include common
-- include read_state
-- include check_permission
-- include is_ahead

local _, refusal = read_state()
if refusal then
    return refusal
end
local counters = PREFIX .. 'counters'
if redis.call('HGET', META, 'counters') and not redis.call('HGET', counters, '') then
    return redis.error_reply('MISSING ' .. counters)
end
refusal = check_permission({{'HGET', counters, 'a'}, {'HSET', counters, 'a', 'b'}, {'HINCRBY', counters, 'a', '1'}})
if refusal then
    return refusal
end
if ARGV[2] == 'allocate' then
    redis.call('HINCRBY', counters, ARGV[3], ARGV[4])
    return redis.call('HGET', counters, ARGV[3])
end
if is_ahead(ARGV[3], ARGV[4]) then
    redis.call('HSET', counters, ARGV[3], ARGV[4])
end
