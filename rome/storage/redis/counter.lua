-- Allocate numbers of a counter, or advance it. ARGV: format, 'allocate' or 'advance', counter, number.
-- Returns the last number that was allocated, as digits: a Lua number would round it.

local _, refusal = read_state()
if refusal then
    return refusal
end
if ARGV[2] == 'advance' then
    return advance(ARGV[3], ARGV[4])
end
redis.call('HINCRBY', PREFIX .. 'counters', ARGV[3], ARGV[4])
return redis.call('HGET', PREFIX .. 'counters', ARGV[3])
