-- Read rows by ranges of row keys or of index entries. KEYS: meta, the sorted set of keys or entries, the hash of rows.
-- ARGV: format, 'keys' or 'entries', 'forward' or 'reverse', limit or -1, then begin and end of each range in the order
-- in which they are read. Returns {keys or entries, rows}; a row that is missing is nil.

-- include common
-- include chunks

local found = {}
local left = tonumber(ARGV[4])
local reverse = ARGV[3] == 'reverse'
for i = 5, #ARGV, 2 do
    if left == 0 then
        break
    end
    local part
    if reverse then
        part = redis.call('ZRANGE', KEYS[2], '(' .. ARGV[i + 1], '[' .. ARGV[i], 'BYLEX', 'REV', 'LIMIT', 0, left)
    else
        part = redis.call('ZRANGE', KEYS[2], '[' .. ARGV[i], '(' .. ARGV[i + 1], 'BYLEX', 'LIMIT', 0, left)
    end
    if i == 5 then
        found = part
    else
        for j = 1, #part do
            found[#found + 1] = part[j]
        end
    end
    if left > 0 then
        left = left - #part
    end
end

if #found == 0 and redis.call('EXISTS', KEYS[2]) == 0 then
    -- Its space is empty, or the server has evicted it (see presence.py).
    local known = redis.call('HMGET', META, 's:' .. string.sub(KEYS[2], #PREFIX + 3), 'pending')
    if #(known[1] or '') == FILLED and (known[2] or '') == '' then
        return redis.error_reply('MISSING ' .. KEYS[2])
    end
end
local keys = found
if ARGV[2] == 'entries' then
    keys = {}
    local byte, sub = string.byte, string.sub
    for i = 1, #found do
        local high, low = byte(found[i], -2, -1)
        keys[i] = sub(found[i], -2 - high * 256 - low, -3)
    end
end
local rows = {}
chunks(#keys, function(first, last)
    local part = redis.call('HMGET', KEYS[3], unpack(keys, first, last))
    if first == 1 then
        rows = part
    else
        for i = 1, #part do
            rows[#rows + 1] = part[i]
        end
    end
end)
return {found, rows}
