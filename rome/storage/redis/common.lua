-- What the scripts share; it stands before the text of each. KEYS[1] is the database's meta hash, and names the others
-- (see layout.py). ARGV[1] is the format number of the client.
--
-- A function that is defined costs as much as half a command, in every run of the script. So what is rarely wanted is
-- defined within what wants it.

local META = KEYS[1]
local PREFIX = string.sub(META, 1, -5)
local CHUNK = 3000 -- unpack() fails at 8000 values; twice as many must fit, and pairs must stay together

-- A Lua number as digits: concatenation would round above 10^14.
local function digits(number)
    return string.format('%d', number)
end

-- Calls back with (first, last) for pieces of 1 .. count that unpack() can take.
local function chunks(count, work)
    for first = 1, count, CHUNK do
        work(first, math.min(first + CHUNK - 1, count))
    end
end

-- The numbers of a state: version, horizon, log_bytes, catalog. All are 0 where nothing was committed yet.
local function numbers_of(state)
    if not state then
        return 0, 0, 0, 0
    end
    return struct.unpack('>I8I8I8I8', state)
end

-- The refusal, if a ROME of another format has written here.
local function other_format(format)
    if format and format ~= ARGV[1] then
        return {'format', format}
    end
end

-- The state, and a refusal, if a ROME of another format has written here.
local function read_state()
    local found = redis.call('HMGET', META, 'state', 'format')
    return found[1], other_format(found[2])
end

-- Whether a < b, byte by byte. Lua's own < follows the server's locale.
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

-- The refusal of a user who may not run what a script runs (from Redis 7 on a script can ask): a script that is stopped
-- half-way is not rolled back.
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

-- Move a counter on to a number of decimal digits, which may be more than a Lua number can hold.
local function advance(counter, value)
    local now = redis.call('HGET', PREFIX .. 'counters', counter) or '0'
    if string.sub(value, 1, 1) == '-' then
        return
    end
    if #now < #value or (#now == #value and less(now, value)) then
        redis.call('HSET', PREFIX .. 'counters', counter, value)
    end
end
