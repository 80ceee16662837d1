-- Apply a write batch: all or nothing, once per token.
--
-- A script that fails halfway is not rolled back. So everything that can be refused is checked before the first write:
-- all reads come first, the user's permission for every write is asked for (`look`), and so are the types of the keys.
-- The first write is the log's entry. If the script is stopped all the same (the user loses a permission between two
-- commits), the log is ahead of the state, and every later commit is refused.
--
-- Costs: a command takes 4000 instructions of the server or more; a string that is passed or made, a function that is
-- defined and a table that grows about 1000 each. So numbers are packed in the heads of lists; the versions of spaces
-- and tokens are fields of the meta hash like the state, read by one command and written by one; the log is trimmed
-- many commits at a time; and the steps of every commit are one piece of code without functions.
--
-- ARGV  format, token, header, seen, then four lists (writes.py makes them; all numbers are big-endian):
--       header    I8 maximum of commits in the log, I8 maximum of its bytes, B 1 to check the user's permission to
--                 write, I4 lengths of the four lists, owner of row locks
--       seen      I8 version, digest; for each version that the batch depends on
--       checks    head: I8 since, c1 demand (see Demand), I4 number of keys, I4 number of ranges, s:SPACE; then the
--                 keys, and begin and end of the ranges
--       writes    head: I4 number of puts of keys that must be new, I4 number of all puts (the new ones first),
--                 I4 number of deletions, s:SPACE; then the puts (key, value; only key in a space of entries), and the
--                 keys of the deletions
--       drops     s:SPACE
--       advances  counter, number
-- Returns the version, or a refusal: {'conflict', s:SPACE, key, since}, {'taken', s:SPACE, key}, {'locked', name, …},
-- {'too old', since}, {'lost', version}, {'format', number}, {'state'}, {'ahead', version}.

local MOST_TRIMMED = 64 -- commits that one commit removes from the log, at most
local MOST_DIGESTS = 131072 -- digests of former versions that are kept: more than the log has, for digests are small

local call, pack, unpack_struct, sub = redis.call, struct.pack, struct.unpack, string.sub

-- Send a command with the items of a list from `first` to `last`, in pieces if they are many; return all replies.
local function send(command, key, list, first, last)
    if last - first < CHUNK then
        return call(command, key, unpack(list, first, last))
    end
    local answers = {}
    for from = first, last, CHUNK do
        local part = call(command, key, unpack(list, from, math.min(from + CHUNK - 1, last)))
        for i = 1, type(part) == 'table' and #part or 0 do
            answers[from - first + i] = part[i]
        end
    end
    return answers
end

-- Return the refusal if a key has another type than this one (and exists).
local function other_type(key, wanted)
    local found = call('TYPE', key).ok
    if found ~= wanted and found ~= 'none' then
        return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ', not a ' .. wanted)
    end
end

local function holds_entries(space)
    return string.byte(space, 3) == 105 -- i
end

-- Return the refusal if a key of a check's range exists (demand NO_KEYS).
local function taken(check)
    local space, entries = check.space, holds_entries(check.space)
    for i = check.keys, check.ranges - 1 do
        if call(entries and 'ZSCORE' or 'HGET', PREFIX .. space, ARGV[i]) then
            return {'taken', space, ARGV[i]}
        end
    end
    local order = PREFIX .. (entries and space or 'o:' .. sub(space, 3))
    for i = check.ranges, check.stop - 1, 2 do
        local found = call('ZRANGEBYLEX', order, '[' .. ARGV[i], '(' .. ARGV[i + 1], 'LIMIT', 0, 1)
        if found[1] then
            return {'taken', space, found[1]}
        end
    end
end

-- Return the refusal if the commits in the log since version `lowest` fail a check. `pending`: space → checks.
local function conflict(pending, lowest, version)
    -- Return true if a key is in the range of a check.
    local function guards(check, key)
        if not check.set then
            check.set = {}
            for i = check.keys, check.ranges - 1 do
                check.set[ARGV[i]] = true
            end
        end
        if check.set[key] then
            return true
        end
        for i = check.ranges, check.stop - 1, 2 do
            if not less(key, ARGV[i]) and less(key, ARGV[i + 1]) then
                return true
            end
        end
        return false
    end

    -- Return true if a write fails a check. Only the first write of the key after the check's version counts.
    -- `was_there`: the key existed before it.
    local function forbids(check, key, was_there)
        if check.demand == 'u' then
            return true
        end
        check.seen = check.seen or {}
        if check.seen[key] then
            return false
        end
        check.seen[key] = true
        local found = call(holds_entries(check.space) and 'ZSCORE' or 'HGET', PREFIX .. check.space, key)
        return was_there ~= (found ~= false and found ~= nil)
    end

    local function conflict_in(its_version, undos)
        local pos = 1
        while pos <= #undos do
            local space, size
            space, size, pos = unpack_struct('>I4c0I4', undos, pos)
            local stop = pos + size
            while pending[space] and pos < stop do
                local key, length
                key, length, pos = unpack_struct('>I4c0i4', undos, pos)
                pos = pos + math.max(length, 0)
                for _, check in ipairs(pending[space]) do
                    if its_version > check.since and guards(check, key) and forbids(check, key, length >= 0) then
                        return {'conflict', space, key, digits(check.since)}
                    end
                end
            end
            pos = stop
        end
    end

    while lowest < version do
        for _, entry in ipairs(call('XRANGE', PREFIX .. 'log', digits(lowest + 1), '+', 'COUNT', 100)) do
            lowest = lowest + 1
            local refusal = conflict_in(lowest, entry[2][4])
            if refusal then
                return refusal
            end
        end
    end
end

-- Permission to write.
local most_commits, most_bytes, look, check_count, write_count, drop_count, advance_count =
    unpack_struct('>I8I8BI4I4I4I4', ARGV[3])
if look == 1 then
    local values, order, log, trim = PREFIX .. 's:r0', PREFIX .. 'o:r0', PREFIX .. 'log', PREFIX .. 'trim'
    local counters, digests = PREFIX .. 'counters', PREFIX .. 'digests'
    local refusal = check_permission({
        {'HGET', values, 'a'}, {'HMGET', values, 'a'}, {'HSET', values, 'a', 'b'}, {'HDEL', values, 'a'},
        {'ZSCORE', values, 'a'}, {'ZMSCORE', values, 'a'}, {'ZRANGEBYLEX', values, '-', '+'},
        {'ZADD', values, '0', 'a'}, {'ZREM', values, 'a'}, {'TYPE', order}, {'ZRANGEBYLEX', order, '-', '+'},
        {'ZADD', order, '0', 'a'}, {'ZREM', order, 'a'}, {'UNLINK', values, order},
        {'XRANGE', log, '-', '+'}, {'XADD', log, '*', 'a', 'b'}, {'XTRIM', log, 'MINID', '~', '1'},
        {'TYPE', trim}, {'LRANGE', trim, '0', '1'}, {'RPUSH', trim, 'a'}, {'LTRIM', trim, '1', '-1'},
        {'TYPE', digests}, {'GETRANGE', digests, '0', '1'}, {'SETRANGE', digests, '0', 'a'},
        {'HGET', counters, 'a'}, {'HSET', counters, 'a', 'b'}, {'HSET', META, 'a', 'b'}, {'HDEL', META, 'a'},
        {'HMGET', PREFIX .. 'locks', 'a'}
    }) or other_type(trim, 'list') or other_type(digests, 'string')
    if refusal then
        return refusal
    end
end

-- Read the state, the token's version, whether there are row locks, and the last versions of the checked spaces.
local token_field, at, checks = '+' .. ARGV[2], 5, {}
local fields = {'state', 'format', token_field, 'locked', nil, nil, nil}
for i = 1, check_count do
    local since, demand, keys, ranges, pos = unpack_struct('>I8c1I4I4', ARGV[at])
    local space, first = sub(ARGV[at], pos), at + 1
    at = first + keys + 2 * ranges
    checks[i] = {space = space, since = since, demand = demand, keys = first, ranges = first + keys, stop = at}
    fields[i + 4] = space
end
local known = send('HMGET', META, fields, 1, check_count + 4)
local state, applied = known[1], known[3]
local refusal = other_format(known[2], state)
if refusal then
    return refusal
end
if applied then
    return (unpack_struct('>I8', applied))
end
local version, horizon, log_bytes = numbers_of(state)
local digest = state and sub(state, -8) or ''

-- Check that the versions which the batch depends on are in the database's past, by their digests.
local seen = ARGV[4]
for pos = 1, #seen, 16 do
    local its_version = unpack_struct('>I8', seen, pos)
    local its_digest = digest
    if version - its_version > MOST_DIGESTS then
        return {'too old', digits(its_version)}
    end
    if its_version < version then
        local place = its_version % MOST_DIGESTS * 8
        its_digest = call('GETRANGE', PREFIX .. 'digests', place, place + 7)
    end
    if its_version > version or its_digest ~= sub(seen, pos + 8, pos + 15) then
        return {'lost', digits(its_version)}
    end
end

-- Validate the checks. Most pass because their space was not written since.
local pending, lowest = nil, nil
for i, check in ipairs(checks) do
    local since, written = check.since, known[i + 4]
    if check.demand == 'n' then
        refusal = taken(check)
        if refusal then
            return refusal
        end
    elseif since > version or (written and unpack_struct('>I8', written) > since) then
        if since < horizon or since > version then
            return {since < horizon and 'too old' or 'lost', digits(since)}
        end
        pending = pending or {}
        pending[check.space] = pending[check.space] or {}
        table.insert(pending[check.space], check)
        lowest = math.min(lowest or since, since)
    end
end
refusal = pending and conflict(pending, lowest, version)
if refusal then
    return refusal
end

-- If there are row locks: a function that adds to `held` the names of those that others have on the rows to be written.
local held, find_locks = nil, nil
if known[4] then
    local owner = sub(ARGV[3], 34)
    find_locks = function(space, keys, count)
        local names = {}
        for i = 1, count do
            names[i] = space .. ':' .. keys[i]
        end
        for i, record in ipairs(send('HMGET', PREFIX .. 'locks', names, 1, count)) do
            -- The records are those of lock.lua: the owner is at the end. The deadline is no matter of commits.
            if record and sub(record, 26) ~= owner then
                held = held or {}
                held[#held + 1] = names[i]
            end
        end
    end
end

-- Read the old values of the keys to be written. `undos`: the undo records for the log. `commands`: the writes to be
-- sent at the end. `present`: the fields of the meta hash to be set.
version = version + 1
local packed_version = pack('>I8', version)
local undos, commands, writes_catalog = {}, {}, false
local present, presents = {token_field, packed_version, 'state', '', nil, nil, nil, nil, nil, nil, nil, nil}, 4
for _ = 1, write_count do
    local new, puts, deletions, pos = unpack_struct('>I4I4I4', ARGV[at])
    local space, first = sub(ARGV[at], pos), at + 1
    local entries, values = holds_entries(space), PREFIX .. space
    local order = entries and values or PREFIX .. 'o:' .. sub(space, 3)
    local keys, count, olds = ARGV, puts + deletions, nil
    local gone, before_keys = first + puts, first - 1
    if not entries then
        gone, keys, before_keys = first + 2 * puts, {}, 0
        for i = 1, puts do
            keys[i] = ARGV[first + 2 * i - 2]
        end
        for i = 1, deletions do
            keys[puts + i] = ARGV[gone + i - 1]
        end
        olds = send('HMGET', values, keys, 1, count)
        if find_locks and sub(space, 3, 3) == 'r' then
            find_locks(sub(space, 3), keys, count)
        end
        if puts > 0 then
            commands[#commands + 1] = {'HSET', values, ARGV, first, gone - 1}
        end
    else
        olds = send('ZMSCORE', values, ARGV, first, first + count - 1)
    end
    local head, size, fresh = #undos + 1, 0, nil
    undos[head] = ''
    for i = 1, count do
        local key, old = keys[before_keys + i], olds[i]
        if not old then
            undos[#undos + 1] = pack('>I4c0i4', #key, key, -1)
            size = size + 8 + #key
            if i <= puts then
                if fresh then
                    fresh[#fresh + 1] = '0'
                    fresh[#fresh + 1] = key
                else
                    fresh = {'0', key}
                end
            end
        elseif i <= new then
            return {'taken', space, key}
        else
            -- The old value is an item of its own: joining it here would copy it once more.
            old = entries and '' or old
            undos[#undos + 1] = pack('>I4c0i4', #key, key, #old)
            undos[#undos + 1] = old
            size = size + 8 + #key + #old
        end
    end
    undos[head] = pack('>I4c0I4', #space, space, size)
    refusal = not entries and (fresh or deletions > 0) and other_type(order, 'zset')
    if refusal then
        return refusal
    end
    if fresh then
        commands[#commands + 1] = {'ZADD', order, fresh, 1, #fresh}
    end
    if deletions > 0 then
        commands[#commands + 1] = {'ZREM', order, ARGV, gone, gone + deletions - 1}
        if not entries then
            commands[#commands + 1] = {'HDEL', values, ARGV, gone, gone + deletions - 1}
        end
    end
    present[presents + 1], present[presents + 2] = space, packed_version
    presents = presents + 2
    writes_catalog = writes_catalog or space == 's:c'
    at = gone + deletions
end
if held then
    return {'locked', unpack(held, 1, math.min(#held, CHUNK))}
end
local drops, advances = at, at + drop_count
local counters = nil
for i = advances, advances + 2 * advance_count - 1, 2 do
    if is_ahead(ARGV[i], ARGV[i + 1]) then
        counters = counters or {}
        counters[#counters + 1], counters[#counters + 2] = ARGV[i], ARGV[i + 1]
    end
end
if write_count + drop_count == 0 then
    if counters then
        send('HSET', PREFIX .. 'counters', counters, 1, #counters)
    end
    return version - 1
end

-- Make the entry of the log, with the end of the state before, from the catalog's version on.
local before = state and sub(state, 25) or '\0\0\0\0\0\0\0\0'
local undo = table.concat(undos)
local size, entry = #undo + #ARGV[2], pack('>I4c0', #ARGV[2], ARGV[2])
for i = drops, advances - 1 do
    for _, key in ipairs({PREFIX .. ARGV[i], PREFIX .. 'o:' .. sub(ARGV[i], 3)}) do
        local used = redis.pcall('MEMORY', 'USAGE', key)
        size = size + (type(used) == 'number' and used or 0)
    end
    entry = entry .. pack('>I4c0', #ARGV[i], ARGV[i])
end
log_bytes = log_bytes + size

-- If the log is too long, remove the oldest commits, their tokens and the spaces that they dropped. Several at a
-- time, so the log may be a little longer than its limit. The newest commit stays, so that its token is known.
local trimmed, gone, unlinked = 0, nil, nil
if version - horizon > most_commits + math.min(most_commits / 100, MOST_TRIMMED) or log_bytes > most_bytes then
    gone, unlinked = {}, {}
    for _, oldest in ipairs(call('LRANGE', PREFIX .. 'trim', 0, MOST_TRIMMED - 1)) do
        if version - horizon <= 1 or (version - horizon <= most_commits and log_bytes <= most_bytes) then
            break
        end
        local its_size, token, pos = unpack_struct('>dI4c0', oldest)
        gone[#gone + 1] = '+' .. token
        while pos <= #oldest do
            local space
            space, pos = unpack_struct('>I4c0', oldest, pos)
            unlinked[#unlinked + 1], unlinked[#unlinked + 2] = PREFIX .. space, PREFIX .. 'o:' .. sub(space, 3)
            gone[#gone + 1] = space
        end
        log_bytes, horizon, trimmed = log_bytes - its_size, horizon + 1, trimmed + 1
    end
end

-- From here on nothing is refused.
local added = redis.pcall('XADD', PREFIX .. 'log', digits(version) .. '-0', 'before', before, 'undos', undo)
if added.err then
    return string.find(added.err, 'equal or smaller', 1, true) and {'ahead', digits(version)} or added
end
call('RPUSH', PREFIX .. 'trim', pack('>d', size) .. entry)
if counters then
    send('HSET', PREFIX .. 'counters', counters, 1, #counters)
end
for _, command in ipairs(commands) do
    send(unpack(command, 1, 5))
end
if trimmed > 0 then
    for first = 1, #unlinked, CHUNK do
        call('UNLINK', unpack(unlinked, first, math.min(first + CHUNK - 1, #unlinked)))
    end
    send('HDEL', META, gone, 1, #gone)
    call('LTRIM', PREFIX .. 'trim', trimmed, -1)
    call('XTRIM', PREFIX .. 'log', 'MINID', '~', digits(horizon + 1))
end

-- Write the state, with the digest of this version (`next_digest` in store.py).
local hex = redis.sha1hex(digest .. ARGV[2])
local next = pack('>I4I4', tonumber(sub(hex, 1, 8), 16), tonumber(sub(hex, 9, 16), 16))
local after = state and sub(state, 25, 48) or '\0\0\0\0\0\0\0\0' .. next .. '\0\0\0\0\0\0\0\0'
if writes_catalog then
    after = packed_version .. sub(after, 9, 16) .. next
end
present[4] = packed_version .. pack('>I8I8', horizon, log_bytes) .. after .. next
if state then
    call('SETRANGE', PREFIX .. 'digests', (version - 1) % MOST_DIGESTS * 8, digest)
else
    present[presents + 1], present[presents + 2] = 'format', ARGV[1]
    presents = presents + 2
end
send('HSET', META, present, 1, presents)
return version
