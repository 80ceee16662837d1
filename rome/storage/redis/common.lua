-- Shared code, which precedes the text of each script. KEYS[1] is the database's meta hash, whose name has the prefix
-- of all others (see layout.py). ARGV[1] is the format number of the client.
--
-- To define a function costs as much as half a command, in every run of a script. So rarely used functions are defined
-- inside of those that use them.

local META = KEYS[1]
local PREFIX = string.sub(META, 1, -5)
local CHUNK = 3000 -- unpack() fails at 8000 values; twice as many must fit, and pairs must stay together

-- Return a Lua number as digits: concatenation would round it above 10^14.
local function digits(number)
    return string.format('%d', number)
end

-- Call `work(first, last)` for pieces of 1 .. count that are small enough for unpack().
local function chunks(count, work)
    for first = 1, count, CHUNK do
        work(first, math.min(first + CHUNK - 1, count))
    end
end

-- Return the numbers of a state: version, horizon, log_bytes, catalog version; all 0 before the first commit.
local function numbers_of(state)
    if not state then
        return 0, 0, 0, 0
    end
    return struct.unpack('>I8I8I8I8', state)
end

-- Return the refusal if the database has another format, or a state that is none.
local function other_format(format, state)
    if format and format ~= ARGV[1] then
        return {'format', format}
    end
    if #(state or '') ~= (format and 56 or 0) then
        return {'state'}
    end
end

-- Return the state, and a refusal if the database has another format.
local function read_state()
    local found = redis.call('HMGET', META, 'state', 'format')
    return found[1], other_format(found[2], found[1])
end

-- Return true if a < b, byte by byte. Lua's own < uses the server's locale.
local function less(a, b)
    local byte = string.byte
    for i = 1, math.min(#a, #b) do
        local x, y = byte(a, i), byte(b, i)
        if x ~= y then
            return x < y
        end
    end
    return #a < #b
end

-- Return the refusal if the user may not run one of these commands (a script can ask from Redis 7 on). This must be
-- known before the first write, because a script that is stopped halfway is not rolled back. So each script asks for
-- every command that it sends by `call`.
local function check_permission(commands)
    if not redis.acl_check_cmd then
        return nil
    end
    for _, command in ipairs(commands) do
        if not redis.acl_check_cmd(unpack(command)) then
            return redis.error_reply('NOPERM this user may not run ' .. command[1] .. ' on the keys of the database')
        end
    end
end

-- Return true if a number, given in digits, is greater than a counter's: it may be greater than a Lua number can hold.
local function is_ahead(counter, value)
    if string.sub(value, 1, 1) == '-' then
        return false
    end
    local now = redis.call('HGET', PREFIX .. 'counters', counter) or '0'
    return #now < #value or (#now == #value and less(now, value))
end
