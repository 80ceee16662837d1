-- Take, renew or release locks. ARGV: format, 'acquire', 'renew' or 'release', owner, TTL in ms, '1' to skip names that
-- another owner holds, '1' to check the user's permission to write, '1' to share named locks with python-redis-lock, names.
--
-- The hash `locks` has a record for each name that is held: >d deadline in ms of the server's clock, >d TTL in ms,
-- >d token, B flags, owner. A record stays when its deadline passes: the next holder learns from it that the lock was
-- never released.
-- The field `locked` of the meta hash is there while there are row locks, which commits ask for.
-- Waiters read the stream wake:NAME; a release writes to it only if the holder's record says that there are waiters.
--
-- A named lock that is shared with python-redis-lock has that package's keys too: the string lock:NAME is its owner, and
-- a release pushes one element to the list lock-signal:NAME, where that package's waiters are.

-- include common
-- include digits
-- include numbers_of
-- include read_state
-- include check_permission

local CONTENDED, OVERTOOK = 1, 2
local HEAD = 25 -- bytes before the owner
local FIRST = 8 -- of the names in ARGV

local owner, ttl, skip = ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function write(lock, record)
    redis.call('HSET', PREFIX .. 'locks', lock,
        struct.pack('>dddB', record.deadline, record.ttl, record.token, record.flags) .. record.owner)
end

local function read(lock)
    local data = redis.call('HGET', PREFIX .. 'locks', lock)
    if not data then
        return nil
    end
    local deadline, its_ttl, token, flags = struct.unpack('>dddB', data)
    local its_owner = string.sub(data, HEAD + 1)
    local record = {deadline = deadline, ttl = its_ttl, token = token, flags = flags, owner = its_owner}
    if deadline > now + its_ttl then
        -- The clock was put back since the deadline was set.
        record.deadline = now + its_ttl
        write(lock, record)
    end
    return record
end

-- Return the name of a lock that is shared with python-redis-lock; nil for others, as row locks.
local function shared(lock)
    if ARGV[7] == '1' and string.sub(lock, 1, 1) == 'a' then
        return string.sub(lock, 2)
    end
end

-- Return the milliseconds until a user of python-redis-lock loses the lock; nil if none holds it.
local function held_outside(lock)
    local name = shared(lock)
    local holder = name and redis.call('GET', 'lock:' .. name)
    if holder and holder ~= owner then
        local left = redis.call('PTTL', 'lock:' .. name)
        return left > 0 and left or 1000 -- without expiry: ask again
    end
end

-- Begin the TTL anew.
local function prolong(lock, record)
    record.deadline, record.ttl = now + ttl, ttl
    write(lock, record)
    local name = shared(lock)
    if name then
        redis.call('SET', 'lock:' .. name, owner, 'PX', ttl)
    end
end

local function has(record, flag)
    return record.flags % (2 * flag) >= flag
end

-- Let commits know whether there are row locks. `taken`: some were taken now. Other locks may keep the field.
local function note_row_locks(taken)
    if string.sub(ARGV[FIRST], 1, 1) == 'r' then
        if taken then
            redis.call('HSET', META, 'locked', '1')
        elseif redis.call('TYPE', PREFIX .. 'locks').ok == 'none' then
            redis.call('HDEL', META, 'locked')
        end
    end
end

-- Return {version, token, ms until the TTL of the holder that blocks has passed, the last id of its wake stream,
-- a letter for each name that was tried: g(ranted), o(vertook), h(eld)}.
local function acquire(version)
    local states, left, ticket, token = {}, 0, '0-0', nil
    for i = FIRST, #ARGV do
        local lock = ARGV[i]
        local record = read(lock)
        local mine = record and record.owner == owner
        local blocked = record and not mine and record.deadline > now
        local outside = not blocked and held_outside(lock)
        if outside then
            states[#states + 1] = 'h'
            left, ticket = outside, 'outside'
            if not skip then
                break
            end
        elseif blocked then
            states[#states + 1] = 'h'
            left = record.deadline - now
            if not skip then
                if not has(record, CONTENDED) then
                    record.flags = record.flags + CONTENDED
                    write(lock, record)
                end
                local last = redis.call('XREVRANGE', PREFIX .. 'wake:' .. lock, '+', '-', 'COUNT', 1)
                ticket = last[1] and last[1][1] or ticket
                break
            end
        elseif mine then
            -- The request was sent again because its answer was lost: give the same answer.
            states[#states + 1] = has(record, OVERTOOK) and 'o' or 'g'
            token = token or record.token
            prolong(lock, record)
        else
            states[#states + 1] = record and 'o' or 'g'
            token = token or redis.call('HINCRBY', PREFIX .. 'counters', 'locks', 1)
            -- No flag for waiters: who waited for the former holder must try again, and the attempt sets the flag.
            prolong(lock, {token = token, flags = record and OVERTOOK or 0, owner = owner})
        end
    end
    if token then
        note_row_locks(true)
    end
    return {digits(version), digits(token or 0), digits(left), ticket, table.concat(states)}
end

local function renew()
    local held = 0
    for i = FIRST, #ARGV do
        local record = read(ARGV[i])
        if record and record.owner == owner and not held_outside(ARGV[i]) then
            held = held + 1
            prolong(ARGV[i], record)
        end
    end
    return held
end

local function release()
    local held = 0
    for i = FIRST, #ARGV do
        local lock = ARGV[i]
        local record = read(lock)
        if record and record.owner == owner then
            held = held + 1
            redis.call('HDEL', PREFIX .. 'locks', lock)
            local name = shared(lock)
            if name and redis.call('GET', 'lock:' .. name) == owner then
                redis.call('DEL', 'lock:' .. name, 'lock-signal:' .. name)
                redis.call('LPUSH', 'lock-signal:' .. name, '1')
                redis.call('PEXPIRE', 'lock-signal:' .. name, 1000)
            end
            if has(record, CONTENDED) then
                redis.call('XADD', PREFIX .. 'wake:' .. lock, 'MAXLEN', 1, '*', 'free', '')
                redis.call('PEXPIRE', PREFIX .. 'wake:' .. lock, 60000)
            end
        end
    end
    note_row_locks(false)
    return held
end

local function permission()
    if ARGV[6] ~= '1' then
        return nil
    end
    local locks, wake = PREFIX .. 'locks', PREFIX .. 'wake:' .. ARGV[FIRST]
    local name = shared(ARGV[FIRST])
    local refusal = name and check_permission({
        {'GET', 'lock:' .. name}, {'PTTL', 'lock:' .. name}, {'SET', 'lock:' .. name, 'a', 'PX', '1'},
        {'DEL', 'lock:' .. name, 'lock-signal:' .. name}, {'LPUSH', 'lock-signal:' .. name, '1'},
        {'PEXPIRE', 'lock-signal:' .. name, '1'}
    })
    return refusal or check_permission({
        {'HGET', locks, 'a'}, {'HSET', locks, 'a', 'b'}, {'HDEL', locks, 'a'},
        {'HINCRBY', PREFIX .. 'counters', 'a', '1'}, {'XREVRANGE', wake, '+', '-'},
        {'XADD', wake, '*', 'a', 'b'}, {'PEXPIRE', wake, '1'}, {'XREAD', 'STREAMS', wake, '0'},
        {'TYPE', locks}, {'HSET', META, 'a', 'b'}, {'HDEL', META, 'a'}
    })
end

local state, refusal = read_state()
refusal = refusal or permission()
if refusal then
    return refusal
end
if ARGV[2] == 'acquire' then
    return acquire((numbers_of(state)))
end
return ARGV[2] == 'renew' and renew() or release()
