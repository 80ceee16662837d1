-- Count the keys in ranges. KEYS: meta, a sorted set. ARGV: format, then begin and end of each range. Returns the sum.

-- include common

local count = 0
for i = 2, #ARGV, 2 do
    count = count + redis.call('ZLEXCOUNT', KEYS[2], '[' .. ARGV[i], '(' .. ARGV[i + 1])
end
return count
