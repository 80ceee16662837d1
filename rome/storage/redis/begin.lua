-- Begin a commit in pieces, which are staged: nobody else commits until it is done or refused (see pieces.py).
-- ARGV: format, token, number of pieces that check, of those that write. Returns {'step'}, or the version if the commit was applied, or a refusal.

-- include common
-- include check_permission
-- include other_format
-- include pending

local token, staged = ARGV[2], PREFIX .. 'staged:' .. ARGV[2]
local known = redis.call('HMGET', META, 'state', 'format', '+' .. token, 'pending')
local refusal = other_format(known[2], known[1]) or pending_refusal(known[4], known[1])
if known[3] then
    return (struct.unpack('>I8', known[3]))
end
if refusal then
    return (refusal[1] == 'pending' and refusal[2] == token) and {'step'} or refusal
end
if redis.call('HLEN', staged) ~= ARGV[3] + ARGV[4] then
    return {'unstaged'}
end
refusal = check_permission({{'PERSIST', staged}, {'HSET', META, 'a', 'b'}})
if refusal then
    return refusal
end
redis.call('PERSIST', staged)
redis.call('HSET', META, 'pending', struct.pack('>i4I4I8', 1 - ARGV[3], tonumber(ARGV[4]), 0) .. token)
return {'step'}
