-- Read rows by ranges of row keys or of index entries. KEYS: meta, the sorted set of keys or entries, the hash of rows.
-- ARGV: format, 'keys' or 'entries', 'forward' or 'reverse', limit or -1, then begin and end of each range in the order
-- in which they are read. Returns {keys or entries, rows}; a row that is missing is nil.
--
-- No more rows are read than the server may take time for. If others may be left, a third item is the number of the
-- range of the last one, counted from 1; the client asks for the rest (parts.py).

-- include common

local MOST_ROWS = 5000 -- some milliseconds
local MOST_BYTES = 8 * 1024 * 1024
local PIECE = 1000 -- rows that are got by one command; their bytes are known afterwards

local found = {}
local left = tonumber(ARGV[4])
local reverse = ARGV[3] == 'reverse'
local bounded = left < 0 or left > MOST_ROWS
if bounded then
    left = MOST_ROWS
end
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
    left = left - #part
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
local count = #keys
local rows = {}
if count <= PIECE then
    rows = count > 0 and redis.call('HMGET', KEYS[3], unpack(keys)) or rows
    if not bounded or left > 0 then
        return {found, rows}
    end
else
    local read, bytes = 0, 0
    while read < count and bytes < MOST_BYTES do
        local last = math.min(read + PIECE, count)
        for _, row in ipairs(redis.call('HMGET', KEYS[3], unpack(keys, read + 1, last))) do
            read = read + 1
            rows[read] = row
            bytes = bytes + (row and #row or 0)
        end
    end
    if read == count and (not bounded or left > 0) then
        return {found, rows}
    end
    for i = count, read + 1, -1 do
        found[i] = nil
    end
    count = read
end

-- Which range is the last one in? All before it have been read as a whole.
local range = 0
while count > 0 and range < (#ARGV - 4) / 2 do
    count = count - redis.call('ZLEXCOUNT', KEYS[2], '[' .. ARGV[5 + 2 * range], '(' .. ARGV[6 + 2 * range])
    range = range + 1
end
return {found, rows, range}
