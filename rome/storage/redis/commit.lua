-- Apply a write batch: all or nothing, once per token. Or do the next step of a commit in pieces (see pieces.py).
--
-- A script that fails halfway is not rolled back. So everything that can be refused is checked before the first write:
-- all reads come first, the user's permission for every write is asked for (`look`), and so are the types of the keys.
-- The first write is the mark `pending` of the meta hash, and the last one removes it. If the script is stopped all the
-- same (the user loses a permission between two commits), rows may be ahead of the state: readers find the mark and
-- undo them, for old values are logged before they are replaced, and the next writer restores them (repair.lua).
--
-- Redis removes a hash or a sorted set that gets empty. So the field of a space in the meta hash says whether the space
-- has keys (see presence.py), and what the server has evicted is not made anew: a key of a space that should be there is
-- an error, and the log begins anew if a part of it is missing.
--
-- Costs: a command takes 4000 instructions of the server or more; a number that is passed to one 2000; a string that is
-- passed or made and a table that grows about 1000 each, a function that is defined some hundreds. So numbers are
-- packed in the heads of lists; keys and values are passed, and logged, as they are packed (msgpack, in C); the head of
-- the log comes ready from the client; the versions of spaces and tokens are fields of the meta hash like the state,
-- read by one command and written by one; and the log is trimmed many commits at a time.
--
-- ARGV  format, token, header, seen, head, then four lists (writes.py makes them; all numbers are big-endian):
--       header    I8 maximum of commits in the log, I8 maximum of its bytes, B 1 to check the user's permission to
--                 write, and 2 more in a cluster, B 1 for a step of a commit in pieces, I4 lengths of the four lists;
--                 for each check: I8 since, B demand (see Demand; l: not locked; in upper case: the key is the number of
--                 the piece that writes the keys to be checked), I4 number of keys, I4 number of ranges; for each space to write to: I4 number of puts of keys that must be new, I4 number of all
--                 puts; owner of row locks
--       seen      I8 version, digest; for each version that the batch depends on
--       head      that of the log without its size (see layout.py)
--       checks    s:SPACE of each; then of each its keys, and begin and end of its ranges
--       writes    s:SPACE; then the keys, as a msgpack array: the new ones, the other puts, the deletions; then the
--                 values of the puts, as a msgpack array, but not in a space of entries. To empty a space:
--                 s:SPACE and, as a msgpack string, the name under which readers find what it had; nothing else
--       drops     s:SPACE
--       advances  counter, number; or counter, number and the one that was given last, with a space between
--       A step has the header only. The other arguments are those of the next piece, which is staged on the server.
-- Returns the version, or {'step'} if a step was done and others are left, or a refusal: {'conflict', s:SPACE, key,
-- since}, {'taken', s:SPACE, key}, {'absent', s:SPACE, key}, {'locked', name, …}, {'counted', counter}, {'too old', since}, {'lost', version}, {'behind'}, {'format', number}, {'state'},
-- {'ahead', version}, {'pending', token}, {'unstaged'}, {'forgotten'}.

local MOST_TRIMMED = 64 -- commits that one commit removes from the log, at most
local MOST_DIGESTS = 131072 -- former versions whose digests are kept: more than the log has, for they are small
local MOST_INLINE = 1024 -- bytes of old and new values that are logged together with the keys
local MOST_SCANNED = 65536 -- bytes of the log that a commit searches for conflicts, a few milliseconds
local CHECK_HEADS, CHECK_HEAD, WRITE_HEAD = 35, 17, 8 -- where those of the header begin, and their lengths
local UNWRITTEN, NO_KEYS, A_KEY, LOCKED = 117, 110, 97, 108 -- the demands u, n, a and l
local LOWER = 97 -- a
local ENTRIES = 105 -- i, by which the names of spaces of entries begin
local NOTHING = '\145\194' -- one old value that did not exist, as msgpack has it: [false]
local REFUSAL_MS = 600000 -- how long the refusal of a commit in pieces is kept for the client

-- include common

local call, pack, unpack_struct, sub, format = redis.call, struct.pack, struct.unpack, string.sub, string.format

-- Send a command with the items of a list from `first` to `last`, in parts if they are many; return all replies.
local function send(command, key, list, first, last)
    if last - first < CHUNK then
        return call(command, key, unpack(list, first, last))
    end
    local answers = call(command, key, unpack(list, first, first + CHUNK - 1))
    for from = first + CHUNK, last, CHUNK do
        local part = call(command, key, unpack(list, from, math.min(from + CHUNK - 1, last)))
        for i = 1, type(part) == 'table' and #part or 0 do
            answers[from - first + i] = part[i]
        end
    end
    return answers
end

-- Permission to write.
local token, staged, step = ARGV[2], nil, nil
local most_commits, most_bytes, look, steps, check_count, write_count, drop_count, advance_count =
    unpack_struct('>I8I8BBI4I4I4I4', ARGV[3])
if look % 2 == 1 then
    local values, order, log, history = PREFIX .. 's:r0', PREFIX .. 'o:r0', PREFIX .. 'k:r0', PREFIX .. 'history'
    local counters, heads = PREFIX .. 'counters', PREFIX .. 'heads'
    -- include check_permission
    -- Return the refusal if a key has another type than this one (and exists).
    local function other_type(key, wanted)
        local found = call('TYPE', key).ok
        if found ~= wanted and found ~= 'none' then
            return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ', not a ' .. wanted)
        end
    end

    local refusal = check_permission({
        {'EXISTS', values, order},
        {'HGET', values, 'a'}, {'HMGET', values, 'a'}, {'HSET', values, 'a', 'b'}, {'HDEL', values, 'a'},
        {'ZMSCORE', values, 'a'}, {'ZRANGEBYLEX', values, '-', '+'}, {'ZLEXCOUNT', values, '-', '+'}, {'ZADD', values, '0', 'a'}, {'ZREM', values, 'a'},
        {'TYPE', order}, {'ZADD', order, '0', 'a'}, {'ZREM', order, 'a'}, {'UNLINK', values, order},
        {'XRANGE', log, '-', '+'}, {'XREAD', 'STREAMS', log, '0'}, {'XADD', log, '*', 'a', 'b'}, {'XTRIM', log, 'MINID', '~', '1'},
        {'LRANGE', heads, '0', '1'}, {'RPUSH', heads, 'a'}, {'LTRIM', heads, '1', '-1'}, {'GETRANGE', history, '0', '1'}, {'SETRANGE', history, '0', 'a'},
        {'GET', PREFIX .. 'refused:a'}, {'SET', PREFIX .. 'refused:a', 'a', 'PX', '1'},
        {'HGET', counters, 'a'}, {'HSET', counters, 'a', 'b'}, {'HSET', META, 'a', 'b'}, {'HDEL', META, 'a'},
        {'HMGET', PREFIX .. 'locks', 'a'}
    }) or other_type(heads, 'list') or other_type(history, 'string')
    if refusal then
        return refusal
    end
end

-- The next piece of a commit in pieces. `pending`: i4 number of the next piece, I4 number of the last one, I8 bytes of
-- the log so far, token. Pieces that write have numbers from 1, those that check come before.
local args = ARGV
if steps == 1 then
    staged = PREFIX .. 'staged:' .. token
    local pending = call('HGET', META, 'pending') or ''
    if sub(pending, 17) == token then
        local number, count, size = unpack_struct('>i4I4I8', pending)
        local piece = call('HGET', staged, format('%d', number))
        step = {number = number, count = count, size = size, is_lost = not piece}
        if piece then
            args = cmsgpack.unpack(piece)
            check_count, write_count, drop_count, advance_count = unpack_struct('>I4I4I4I4', args[3], 19)
        end
    end
end

-- Read the state, the token's version, whether there are row locks, and the last versions of the checked spaces.
local token_field, at = '+' .. token, 6 + check_count
local known = call('HMGET', META, 'state', 'format', 'pending', 'locked', token_field, unpack(args, 6, math.min(at - 1, CHUNK)))
for first = CHUNK + 1, at - 1, CHUNK do
    for i, field in ipairs(call('HMGET', META, unpack(args, first, math.min(first + CHUNK - 1, at - 1)))) do
        known[first + i - 1] = field
    end
end
local state, pending, applied = known[1], known[3], known[5]
if known[2] ~= ARGV[1] or not state or #state ~= 56 then
    -- include other_format
    local refusal = other_format(known[2], state)
    if refusal then
        return refusal
    end
end
if applied then
    return (unpack_struct('>I8', applied))
end
local version, horizon, log_bytes = 0, 0, 0
if state then
    version, horizon, log_bytes = unpack_struct('>I8I8I8', state)
end
if steps == 0 and pending and pending ~= '' then
    -- include pending
    return pending_refusal(pending, state)
end
if not state and not step and call('EXISTS', PREFIX .. 'heads', PREFIX .. 'history', PREFIX .. 's:c') > 0 then
    return redis.error_reply('MISSING ' .. META)
end
if step and step.is_lost then
    -- Another program has removed the pieces.
    if step.number > 1 then
        return {'ahead', format('%d', version + 1)}
    end
    call('HSET', META, 'pending', '')
    return {'unstaged'}
end
if steps == 1 and not step then
    local refused = call('GET', PREFIX .. 'refused:' .. token)
    return refused and cmsgpack.unpack(refused) or {'forgotten'}
end
local digest = state and sub(state, -8) or ''

-- If there are row locks: a function that adds to `held` the names of those that others have on rows to be written.
local held, find_locks, refusal = nil, nil, nil
if known[4] then
    local owner = sub(args[3], CHECK_HEADS + CHECK_HEAD * check_count + WRITE_HEAD * write_count)
    find_locks = function(space, keys, first, last)
        local names = {}
        for i = first, last do
            names[i - first + 1] = sub(space, 3) .. ':' .. keys[i]
        end
        for i, record in ipairs(send('HMGET', PREFIX .. 'locks', names, 1, #names)) do
            -- The records are those of lock.lua: the owner is at the end. The deadline is no matter of commits.
            if record and sub(record, 26) ~= owner then
                held = held or {}
                held[#held + 1] = names[i]
            end
        end
    end
end

-- The versions which the batch depends on must be in the database's past, with the same digests. (No functions here:
-- those that use many local variables cost the most.)
local seen = args[4]
for pos = 1, #seen, 16 do
    local its_version = unpack_struct('>I8', seen, pos)
    local its_digest = digest
    if version - its_version > MOST_DIGESTS then
        refusal = {'too old', format('%d', its_version)}
        break
    end
    if its_version < version then
        local place = its_version % MOST_DIGESTS * 24
        its_digest = call('GETRANGE', PREFIX .. 'history', format('%d', place), format('%d', place + 7))
    end
    if its_version > version or its_digest ~= sub(seen, pos + 8, pos + 15) then
        refusal = {'lost', format('%d', its_version)}
        break
    end
end

-- Validate the checks. Most pass because their space was not written since.
-- `needed`: keys of spaces that must exist if the meta hash says so.
local written_since, needed = nil, {}
for i = 1, refusal and 0 or check_count do
    local since, demand, keys, ranges = unpack_struct('>I8BI4I4', args[3], CHECK_HEADS + CHECK_HEAD * (i - 1))
    local space, written = args[5 + i], known[5 + i]
    local first, stop = at, at + keys + 2 * ranges
    at = stop
    if demand < LOWER then
        demand = demand + 32
        local is_needed = find_locks
        if demand ~= LOCKED then
            is_needed = demand == NO_KEYS or demand == A_KEY or since > version or (written and unpack_struct('>I8', written) > since)
        end
        if is_needed then
            local piece = call('HGET', staged, args[first])
            if not piece then
                refusal = {'unstaged'}
                break
            end
            first, keys = #args + 1, cmsgpack.unpack(cmsgpack.unpack(piece)[7])
            for j, key in ipairs(keys) do
                args[first + j - 1] = key
            end
            keys, stop = #keys, #args + 1
        end
    end
    if demand == NO_KEYS or demand == A_KEY then
        -- include taken
        refusal = taken(args, space, first, keys, ranges, demand == A_KEY)
        if refusal then
            break
        end
    elseif demand == LOCKED then
        -- Of a commit in pieces: a space that it will write, and the keys of its rows.
        if find_locks then
            find_locks(space, args, first, stop - 1)
        end
    elseif since > version or (since < version and written and unpack_struct('>I8', written) > since) then
        if since < horizon or since > version then
            refusal = {since < horizon and 'too old' or 'lost', format('%d', since)}
            break
        end
        written_since = written_since or {}
        written_since[space] = written_since[space] or {}
        table.insert(written_since[space], {
            space = space, since = since, demand = demand, keys = first, ranges = first + keys, stop = stop,
            written = unpack_struct('>I8', written)
        })
    end
    if (demand == NO_KEYS or demand == LOCKED) and #(written or '') == FILLED then
        needed[#needed + 1] = PREFIX .. space
        if string.byte(space, 3) ~= ENTRIES then
            needed[#needed + 1] = PREFIX .. 'o:' .. sub(space, 3)
        end
    end
end
if written_since and not refusal then
    -- include conflict
    refusal = conflict(args, written_since, step)
end

-- Read the old values of the keys to be written. `logs`: the entries of the log. `commands`: the writes to be sent at
-- the end. `present`: the fields of the meta hash to be set. `emptied`: the places in it of spaces that got no keys.
version = version + 1
local packed_version, is_last = pack('>I8', version), not step or step.number == step.count
local entry_id = format(step and '%d-%d' or '%d', version, step and step.number)
local logs, commands, writes_catalog, size, emptied = {}, {}, false, step and step.size or #token, nil
local filled = packed_version .. '\1'
local present, presents = {token_field, packed_version, 'state', '', 'pending', '', nil, nil, nil, nil, nil, nil}, 6
local head_at = CHECK_HEADS + CHECK_HEAD * check_count
for i = 1, refusal and 0 or write_count do
    local new, puts = unpack_struct('>I4I4', args[3], head_at + WRITE_HEAD * (i - 1))
    local space, packed_keys, packed_values = args[at], args[at + 1], ''
    local name, entries, keys, values = sub(space, 3), string.byte(space, 3) == ENTRIES, cmsgpack.unpack(packed_keys), nil
    local count, hash, log = #keys, PREFIX .. space, PREFIX .. 'k:' .. name
    local order, is_emptied = entries and hash or PREFIX .. 'o:' .. name, type(keys) == 'string'
    at = at + 2
    if is_emptied then
        -- include empty_space
    elseif not entries then
        packed_values, at = args[at], at + 1
        values = cmsgpack.unpack(packed_values)
    end
    if count > 0 and not is_emptied then
        local olds, fresh, there = send(entries and 'ZMSCORE' or 'HMGET', hash, keys, 1, count), nil, false
        if find_locks and not step and sub(space, 3, 3) == 'r' then
            find_locks(space, keys, 1, count)
        end
        for i = 1, puts do
            if not olds[i] then
                if fresh then
                    fresh[#fresh + 1] = '0'
                    fresh[#fresh + 1] = keys[i]
                else
                    fresh = {'ZADD', order, '0', keys[i]}
                end
            elseif i <= new then
                return {'taken', space, keys[i]}
            else
                there = true
            end
        end
        if not step and not there and not olds[count] then
            needed[#needed + 1] = hash
        end
        if not entries and (fresh or count > puts) then
            local found = call('TYPE', order).ok
            if found == 'none' and not step then
                needed[#needed + 1] = order
            elseif found ~= 'zset' and found ~= 'none' then
                return redis.error_reply('WRONGTYPE ' .. order .. ' is a ' .. found .. ', not a zset')
            end
        end
        local packed_olds, apart = count == 1 and not olds[1] and NOTHING or cmsgpack.pack(olds), nil
        size = size + #packed_keys + #packed_olds + #packed_values
        if not entries and #packed_olds + #packed_values > MOST_INLINE then
            -- Log the values apart, and of the old ones only whether they existed.
            local flags = {}
            for i = 1, count do
                flags[i] = olds[i] and '1' or '0'
            end
            apart, packed_olds, packed_values = {packed_olds, packed_values}, table.concat(flags), ''
        end
        logs[#logs + 1] = {log, puts == 1 and '1' or format('%d', puts), packed_keys, packed_olds, packed_values, apart, name, order, keys, puts}
        if puts > 0 and not entries then
            local pairs = {'HSET', hash, keys[1], values[1]}
            for i = 2, puts do
                pairs[2 * i + 1], pairs[2 * i + 2] = keys[i], values[i]
            end
            commands[#commands + 1] = pairs
        end
        commands[#commands + 1] = fresh
        if count > puts then
            local ordered, removed = {'ZREM', order}, {'HDEL', hash}
            for i = puts + 1, count do
                ordered[i - puts + 2], removed[i - puts + 2] = keys[i], keys[i]
            end
            commands[#commands + 1] = ordered
            commands[#commands + 1] = not entries and removed or nil
        end
    end
    present[presents + 1], present[presents + 2] = space, filled
    presents = presents + 2
    if puts == 0 then
        emptied = emptied or {}
        emptied[#emptied + 1] = presents
    end
    writes_catalog = writes_catalog or space == 's:c'
end

-- The server may have evicted hashes and sorted sets of which nothing was found.
for first = 1, #needed, CHUNK do
    local last = math.min(first + CHUNK - 1, #needed)
    if not refusal and call('EXISTS', unpack(needed, first, last)) <= last - first then
        for i = first, last do
            local field = 's:' .. sub(needed[i], #PREFIX + 3)
            if call('EXISTS', needed[i]) == 0 and #(call('HGET', META, field) or '') == FILLED then
                refusal = redis.error_reply('MISSING ' .. needed[i])
                break
            end
        end
    end
end
if held and not refusal then
    refusal = {'locked', unpack(held, 1, math.min(#held, CHUNK))}
end
local drops, advances = at, at + drop_count
local counters = nil
for i = advances, refusal and 0 or advances + 2 * advance_count - 1, 2 do
    -- include is_ahead
    local number, expected = string.match(args[i + 1], '(%S+) ?(.*)')
    if expected ~= '' and (call('HGET', PREFIX .. 'counters', args[i]) or '0') ~= expected then
        refusal = {'counted', args[i]}
    end
    if is_ahead(args[i], number) then
        counters = counters or {}
        counters[#counters + 1], counters[#counters + 2] = args[i], number
    end
end
if refusal then
    if step then
        if look >= 2 then
            call('EXISTS', META, PREFIX .. 'refused:' .. token, staged) -- see below
        end
        call('HSET', META, 'pending', '')
        call('SET', PREFIX .. 'refused:' .. token, cmsgpack.pack(refusal), 'PX', REFUSAL_MS)
        call('UNLINK', staged)
    end
    return refusal
end
if not step and write_count + drop_count == 0 then
    if counters then
        send('HSET', PREFIX .. 'counters', counters, 1, #counters)
    end
    return version - 1
end

-- Make the head of the log. If the log is too long, remove the oldest commits, their tokens and the spaces that they
-- dropped. Several at a time, so the log may be a little longer than its limit. The newest commit stays, so that its
-- token is known.
local first_horizon, head, trimmed, gone, unlinked, touched = horizon, nil, 0, nil, nil, nil
if is_last then
    for i = drops, advances - 1 do
        for _, key in ipairs({PREFIX .. args[i], PREFIX .. 'o:' .. sub(args[i], 3)}) do
            local used = redis.pcall('MEMORY', 'USAGE', key)
            size = size + (type(used) == 'number' and used or 0)
        end
    end
    head = pack('>d', size) .. args[5]
    log_bytes = log_bytes + size
    if version - horizon > most_commits + math.min(most_commits / 100, MOST_TRIMMED) or log_bytes > most_bytes then
        gone, unlinked, touched = {}, {}, {}
        for _, oldest in ipairs(call('LRANGE', PREFIX .. 'heads', 0, MOST_TRIMMED - 1)) do
            if version - horizon <= 1 or (version - horizon <= most_commits and log_bytes <= most_bytes) then
                break
            end
            local its_size, its_token, written, pos = unpack_struct('>dI4c0I4', oldest)
            gone[#gone + 1] = '+' .. its_token
            while pos <= #oldest do
                local space
                space, pos = unpack_struct('>I4c0', oldest, pos)
                if written > 0 then
                    touched[sub(space, 3)], written = true, written - 1
                else
                    for _, kind in ipairs({'s:', 'o:', 'k:', 'v:'}) do
                        unlinked[#unlinked + 1] = PREFIX .. kind .. sub(space, 3)
                    end
                    gone[#gone + 1] = space
                end
            end
            log_bytes, horizon, trimmed = log_bytes - its_size, horizon + 1, trimmed + 1
        end
    end
end

-- A cluster may be moving the database to another node, key by key. Then a command fails if one of its keys is not here,
-- even if it does not exist. That must happen before the first write.
if look >= 2 then
    -- include chunks
    local keys = {META, PREFIX .. 'heads', PREFIX .. 'history'}
    keys[#keys + 1] = step and staged or nil
    keys[#keys + 1] = (counters or not state) and PREFIX .. 'counters' or nil
    for _, place in ipairs(emptied or {}) do
        keys[#keys + 1] = PREFIX .. present[place - 1]
    end
    for _, log in ipairs(logs) do
        keys[#keys + 1], keys[#keys + 2] = log[1], log[8]
        keys[#keys + 1] = log[6] and PREFIX .. 'v:' .. log[7]
    end
    for _, command in ipairs(commands) do
        keys[#keys + 1] = command[2]
        keys[#keys + 1] = command[1] == 'RENAME' and command[3] or nil
    end
    for space in pairs(touched or {}) do
        keys[#keys + 1], keys[#keys + 2] = PREFIX .. 'k:' .. space, PREFIX .. 'v:' .. space
    end
    for _, list in ipairs({keys, unlinked}) do
        chunks(#list, function(first, last)
            call('EXISTS', unpack(list, first, last))
        end)
    end
end

-- The log must end before this version. Another program may have written to it, or put the state back.
if not step and #logs > 0 then
    local names, ids, before = {}, {}, format('%d-18446744073709551615', version - 1)
    for _, log in ipairs(logs) do
        names[#names + 1], ids[#ids + 1] = log[1], before
        if log[6] then
            names[#names + 1], ids[#ids + 1] = PREFIX .. 'v:' .. log[7], before
        end
    end
    for first = 1, #names, CHUNK do
        local last, read = math.min(first + CHUNK - 1, #names), {'COUNT', '1', 'STREAMS'}
        for _, list in ipairs({names, ids}) do
            for i = first, last do
                read[#read + 1] = list[i]
            end
        end
        local later = call('XREAD', unpack(read))
        if later then
            return redis.error_reply('AHEAD ' .. later[1][1])
        end
    end
end

-- From here on nothing is refused.
if not step then
    local marked = redis.pcall('HSET', META, 'pending', '!')
    if type(marked) == 'table' then
        return marked
    end
end
local begins_anew = is_last and call('RPUSH', PREFIX .. 'heads', head) ~= version - first_horizon
for _, log in ipairs(logs) do
    local added = redis.pcall('XADD', log[1], 'NOMKSTREAM', entry_id, log[2], log[3], log[4], log[5])
    if not added then
        -- The space was never written before, or the server has evicted its log.
        local written = call('HGET', META, 's:' .. log[7])
        begins_anew = begins_anew or (written and unpack_struct('>I8', written) > first_horizon)
        added = redis.pcall('XADD', log[1], entry_id, log[2], log[3], log[4], log[5])
    end
    if not (type(added) == 'table' and added.err) then
        if log[6] then
            call('XADD', PREFIX .. 'v:' .. log[7], entry_id, log[6][1], log[6][2])
        end
    elseif step and string.find(added.err, 'equal or smaller', 1, true) then
        -- The step was stopped halfway. It has logged the old values; some of the writes may have been done.
        local all = {'ZADD', log[8]}
        for i = 1, log[10] do
            all[2 * i + 1], all[2 * i + 2] = '0', log[9][i]
        end
        commands[#commands + 1] = log[10] > 0 and all or nil
    else
        return added
    end
end
if begins_anew and state then
    -- A part of the log is missing: versions before this commit can't be read any more. Their tokens stay; they do no
    -- harm.
    horizon, trimmed = version - 1, 0
    if is_last then
        call('LTRIM', PREFIX .. 'heads', -1, -1)
        log_bytes = size
    end
    call('HSET', META, 'state', sub(state, 1, 8) .. pack('>I8', horizon) .. sub(state, 17))
end
if counters then
    send('HSET', PREFIX .. 'counters', counters, 1, #counters)
end
for i = 1, #commands do
    local command = commands[i]
    local last = #command
    if last < CHUNK then
        call(unpack(command))
    else
        send(command[1], command[2], command, 3, last)
    end
end
for _, place in ipairs(emptied or {}) do
    local space = present[place - 1]
    if redis.pcall('EXISTS', PREFIX .. space) ~= 1 then -- a cluster that moves the database refuses it
        present[place] = packed_version
        if not is_last then
            -- A later step may find it empty.
            call('HSET', META, space, sub(call('HGET', META, space) or '', 1, 8))
        end
    end
end
if not is_last then
    call('HSET', META, 'pending', pack('>i4I4I8', step.number + 1, step.count, size) .. token)
    return {'step'}
end
if trimmed > 0 then
    for first = 1, #unlinked, CHUNK do
        call('UNLINK', unpack(unlinked, first, math.min(first + CHUNK - 1, #unlinked)))
    end
    send('HDEL', META, gone, 1, #gone)
    call('LTRIM', PREFIX .. 'heads', trimmed, -1)
    for space in pairs(touched) do
        call('XTRIM', PREFIX .. 'k:' .. space, 'MINID', '~', format('%d', horizon + 1))
        call('XTRIM', PREFIX .. 'v:' .. space, 'MINID', '~', format('%d', horizon + 1))
    end
end

-- Write the state, with the digest of this version (`next_digest` in store.py).
local high, low = unpack_struct('c8c8', redis.sha1hex(digest .. token))
local next = pack('>I4I4', tonumber(high, 16), tonumber(low, 16))
local after = state and sub(state, 25, 48) or '\0\0\0\0\0\0\0\0' .. next .. '\0\0\0\0\0\0\0\0'
if writes_catalog then
    after = packed_version .. sub(after, 9, 16) .. next
end
present[4] = packed_version .. pack('>I8I8', horizon, log_bytes) .. after .. next
if state then
    local place = format('%d', (version - 1) % MOST_DIGESTS * 24)
    call('SETRANGE', PREFIX .. 'history', place, digest .. sub(state, 25, 32) .. sub(state, 41, 48))
else
    present[presents + 1], present[presents + 2] = 'format', ARGV[1]
    present[presents + 3], present[presents + 4] = 'counters', '1'
    presents = presents + 4
    call('HSET', PREFIX .. 'counters', '', '1')
end
if step then
    call('UNLINK', staged)
end
send('HSET', META, present, 1, presents)
return version
