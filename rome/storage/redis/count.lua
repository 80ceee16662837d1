-- Counts keys. KEYS: meta, a sorted set. ARGV: format, then begin and end of each range. Answers how many they hold together.

local count = 0
for i = 2, #ARGV, 2 do
    count = count + redis.call('ZLEXCOUNT', KEYS[2], '[' .. ARGV[i], '(' .. ARGV[i + 1])
end
return count
