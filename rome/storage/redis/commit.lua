-- Applies a batch: all or nothing, once per token.
--
-- A script that fails half-way is not rolled back. So everything that can be refused is looked at before the first
-- write; what runs after that fails only if the data under our names is not ours.
--
-- A string that is handed over or made costs as much as a quarter of a command. So numbers stand packed in the heads of
-- lists, what is known of spaces and tokens stands in the meta hash beside the state, and is read and written at once,
-- and the log is trimmed many commits at a time.
--
-- ARGV  format, token, header, seen, then four lists (writes.py makes them; all numbers are big-endian):
--       header    I8 most commits, I8 most bytes of the log, B whether to look if the user may write,
--                 I4 lengths of the four lists
--       seen      I8 version, digest; of each version that the batch rests on
--       checks    head: I8 since, c1 demand (see Demand), I4 how many keys, I4 how many ranges, s:SPACE; then the keys,
--                 and begin and end of the ranges
--       writes    head: I4 how many puts of keys that must be new, I4 how many puts with these, I4 how many deletions,
--                 s:SPACE; then the puts (key, value; only key in a space of entries), and the keys of the deletions
--       drops     s:SPACE
--       advances  counter, number
-- Answers the version, or a refusal: {'conflict', s:SPACE, key, since}, {'taken', s:SPACE, key}, {'too old', since},
-- {'lost', version}, {'format', number}.

local MOST_TRIMMED = 64 -- commits that one commit removes from the log, at most
local MOST_DIGESTS = 131072 -- digests of former versions that are kept: more than the log is long, for they are small

local token = ARGV[2]
local most_commits, most_bytes, look, check_count, write_count, drop_count, advance_count =
    struct.unpack('>I8I8BI4I4I4I4', ARGV[3])

local function holds_entries(space)
    return string.byte(space, 3) == 105 -- i
end

-- The key of the sorted set of a space's keys.
local function order_of(space)
    return PREFIX .. (holds_entries(space) and space or 'o:' .. string.sub(space, 3))
end

-- What a command answers for many keys or fields.
local function ask(command, key, list)
    if #list <= CHUNK then
        return redis.call(command, key, unpack(list))
    end
    local answers = {}
    chunks(#list, function(first, last)
        for i, answer in ipairs(redis.call(command, key, unpack(list, first, last))) do
            answers[first + i - 1] = answer
        end
    end)
    return answers
end

-- Sends a command with many arguments.
local function tell(command, key, list)
    chunks(#list, function(first, last)
        redis.call(command, key, unpack(list, first, last))
    end)
end

local function permission()
    local key = PREFIX .. 's:r0'
    return check_permission({
        {'XADD', key, '*', 'a', 'b'}, {'XTRIM', key, 'MINID', '~', '1'}, {'RPUSH', key, 'a'}, {'LTRIM', key, '1', '-1'},
        {'HSET', key, 'a', 'b'}, {'HDEL', key, 'a'}, {'ZADD', key, '0', 'a'}, {'ZREM', key, 'a'}, {'UNLINK', key},
        {'SETRANGE', key, '0', 'a'}
    })
end

-- The place of a version's digest among those that are kept.
local function place_of(version)
    return version % MOST_DIGESTS * 8
end

-- The refusal, if a version that the batch rests on is not in our past, or too far back to tell.
local function unknown(version, digest)
    local seen = ARGV[4]
    for pos = 1, #seen, 16 do
        local its = struct.unpack('>I8', seen, pos)
        local present = digest
        if version - its > MOST_DIGESTS then
            return {'too old', digits(its)}
        end
        if its < version then
            present = redis.call('GETRANGE', PREFIX .. 'digests', place_of(its), place_of(its) + 7)
        end
        if its > version or present ~= string.sub(seen, pos + 8, pos + 15) then
            return {'lost', digits(its)}
        end
    end
end

-- The refusal of a check that demands that no key of its range is there.
local function taken(check)
    local space = check.space
    for i = check.keys, check.ranges - 1 do
        if redis.call(holds_entries(space) and 'ZSCORE' or 'HGET', PREFIX .. space, ARGV[i]) then
            return {'taken', space, ARGV[i]}
        end
    end
    for i = check.ranges, check.behind - 1, 2 do
        local found = redis.call('ZRANGEBYLEX', order_of(space), '[' .. ARGV[i], '(' .. ARGV[i + 1], 'LIMIT', 0, 1)
        if found[1] then
            return {'taken', space, found[1]}
        end
    end
end

-- The refusal, if what the log tells of the commits since `lowest` is what a check forbids. `pending`: space → checks.
local function conflict(pending, lowest, version)
    -- Whether a check guards a key.
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
        for i = check.ranges, check.behind - 1, 2 do
            if not less(key, ARGV[i]) and less(key, ARGV[i + 1]) then
                return true
            end
        end
        return false
    end

    -- Whether a write, the first of this key after the check's version, is forbidden. `was_there`: the key, before it.
    local function forbids(check, key, was_there)
        if check.demand == 'u' then
            return true
        end
        check.seen = check.seen or {}
        if check.seen[key] then
            return false
        end
        check.seen[key] = true
        local space = check.space
        local found = redis.call(holds_entries(space) and 'ZSCORE' or 'HGET', PREFIX .. space, key)
        return was_there ~= (found ~= false and found ~= nil)
    end

    local function conflict_in(its, undos)
        local unpack_struct = struct.unpack
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
                    if its > check.since and guards(check, key) and forbids(check, key, length >= 0) then
                        return {'conflict', space, key, digits(check.since)}
                    end
                end
            end
            pos = stop
        end
    end

    while lowest < version do
        local page = redis.call('XRANGE', PREFIX .. 'log', digits(lowest + 1), '+', 'COUNT', 100)
        for _, entry in ipairs(page) do
            lowest = lowest + 1
            local refusal = conflict_in(lowest, entry[2][4])
            if refusal then
                return refusal
            end
        end
    end
end

-- The checks; their spaces are put behind the fields that are to be read of the meta hash.
local function take_checks(at, fields)
    local checks = {}
    for i = 1, check_count do
        local since, demand, keys, ranges, pos = struct.unpack('>I8c1I4I4', ARGV[at])
        local space = string.sub(ARGV[at], pos)
        local behind = at + 1 + keys + 2 * ranges
        checks[i] = {
            space = space, since = since, demand = demand, keys = at + 1, ranges = at + 1 + keys, behind = behind
        }
        fields[#fields + 1] = space
        at = behind
    end
    return checks, at
end

-- The refusal for the first check that fails. Most are answered by when their space was last written: `written` has it
-- from `first` on.
local function validate(checks, written, first, version, horizon)
    local pending, lowest = {}, nil
    for i, check in ipairs(checks) do
        local since, last = check.since, written[first + i - 1]
        if check.demand == 'n' then
            local refusal = taken(check)
            if refusal then
                return refusal
            end
        elseif since > version or (last and struct.unpack('>I8', last) > since) then
            if since < horizon or since > version then
                return {since < horizon and 'too old' or 'lost', digits(since)}
            end
            pending[check.space] = pending[check.space] or {}
            table.insert(pending[check.space], check)
            lowest = math.min(lowest or since, since)
        end
    end
    return lowest and conflict(pending, lowest, version)
end

-- The groups of writes, each with the keys that will be put where none was; and the undos of the log's entry. Or a
-- refusal.
local function take_writes(at)
    local groups, undos, pack = {}, {}, struct.pack
    for i = 1, write_count do
        local new, puts, deletions, pos = struct.unpack('>I4I4I4', ARGV[at])
        local space = string.sub(ARGV[at], pos)
        local entries = holds_entries(space)
        local first, step = at + 1, entries and 1 or 2
        local gone = first + puts * step
        local keys, fresh, size = {}, {}, 0
        for place = first, gone - 1, step do
            keys[#keys + 1] = ARGV[place]
        end
        for place = gone, gone + deletions - 1 do
            keys[#keys + 1] = ARGV[place]
        end
        local olds = ask(entries and 'ZMSCORE' or 'HMGET', PREFIX .. space, keys)
        local head, place = #undos + 1, #undos + 2
        for k, key in ipairs(keys) do
            local old = olds[k]
            if old then
                if k <= new then
                    return nil, nil, nil, {'taken', space, key}
                end
                -- The old value is a part of its own: joining it here would copy it once more.
                old = entries and '' or old
                undos[place] = pack('>I4c0i4', #key, key, #old)
                undos[place + 1] = old
                place = place + 2
                size = size + 8 + #key + #old
            else
                undos[place] = pack('>I4c0i4', #key, key, -1)
                place = place + 1
                size = size + 8 + #key
                if k <= puts then
                    fresh[#fresh + 1] = key
                end
            end
        end
        undos[head] = pack('>I4c0I4', #space, space, size)
        groups[i] = {space = space, entries = entries, fresh = fresh, first = first, gone = gone, deletions = deletions}
        at = gone + deletions
    end
    return groups, table.concat(undos), at
end

local function write(group)
    local space, fresh, order = group.space, group.fresh, order_of(group.space)
    if group.deletions > 0 then
        local gone = {}
        for i = 1, group.deletions do
            gone[i] = ARGV[group.gone + i - 1]
        end
        tell('ZREM', order, gone)
        if not group.entries then
            tell('HDEL', PREFIX .. space, gone)
        end
    end
    if not group.entries then
        chunks(group.gone - group.first, function(first, last)
            redis.call('HSET', PREFIX .. space, unpack(ARGV, group.first + first - 1, group.first + last - 1))
        end)
    end
    if #fresh == 1 then
        redis.call('ZADD', order, '0', fresh[1])
    elseif #fresh > 1 then
        local pairs_of = {}
        for i, key in ipairs(fresh) do
            pairs_of[2 * i - 1] = '0'
            pairs_of[2 * i] = key
        end
        tell('ZADD', order, pairs_of)
    end
end

-- Adds the commit to the log. Answers how many bytes it takes, with the spaces that are dropped.
local function log(version, before, undos, drops)
    -- The memory that a space takes.
    local function size_of(space)
        local size = 0
        for _, key in ipairs({PREFIX .. space, PREFIX .. 'o:' .. string.sub(space, 3)}) do
            local used = redis.pcall('MEMORY', 'USAGE', key)
            size = size + (type(used) == 'number' and used or 0)
        end
        return size
    end

    local size, entry = #undos + #token, {struct.pack('>I4c0', #token, token)}
    for i = drops, drops + drop_count - 1 do
        size = size + size_of(ARGV[i])
        entry[#entry + 1] = struct.pack('>I4c0', #ARGV[i], ARGV[i])
    end
    redis.call('XADD', PREFIX .. 'log', digits(version) .. '-0', 'before', before, 'undos', undos)
    redis.call('RPUSH', PREFIX .. 'trim', struct.pack('>d', size) .. table.concat(entry))
    return size
end

-- Forgets the oldest commits, of which the log has too many, with their tokens and the spaces that they dropped. The
-- newest stays, so that its token is known. Answers what the log begins with and how long it is then.
local function trim(version, horizon, log_bytes)
    local trimmed, gone = 0, {}
    for _, entry in ipairs(redis.call('LRANGE', PREFIX .. 'trim', 0, MOST_TRIMMED - 1)) do
        if version - horizon <= 1 or (version - horizon <= most_commits and log_bytes <= most_bytes) then
            break
        end
        local size, its_token, pos = struct.unpack('>dI4c0', entry)
        gone[#gone + 1] = '+' .. its_token
        while pos <= #entry do
            local space
            space, pos = struct.unpack('>I4c0', entry, pos)
            redis.call('UNLINK', PREFIX .. space, PREFIX .. 'o:' .. string.sub(space, 3))
            gone[#gone + 1] = space
        end
        log_bytes = log_bytes - size
        horizon = horizon + 1
        trimmed = trimmed + 1
    end
    tell('HDEL', META, gone)
    redis.call('LTRIM', PREFIX .. 'trim', trimmed, -1)
    redis.call('XTRIM', PREFIX .. 'log', 'MINID', '~', digits(horizon + 1))
    return horizon, log_bytes
end

-- The digest of the next version (`next_digest` in store.py).
local function next_digest(digest)
    local hex = redis.sha1hex(digest .. token)
    return struct.pack('>I4I4', tonumber(string.sub(hex, 1, 8), 16), tonumber(string.sub(hex, 9, 16), 16))
end

local function run()
    local refusal = look == 1 and permission()
    if refusal then
        return refusal
    end
    local fields = {'state', 'format', '+' .. token}
    local checks, at = take_checks(5, fields)
    local found = ask('HMGET', META, fields)
    refusal = other_format(found[2])
    if refusal then
        return refusal
    end
    if found[3] then
        return (struct.unpack('>I8', found[3]))
    end
    local state = found[1]
    local version, horizon, log_bytes = numbers_of(state)
    local digest = state and string.sub(state, -8) or ''
    refusal = unknown(version, digest) or validate(checks, found, 4, version, horizon)
    if refusal then
        return refusal
    end
    local groups, undos, drops, taken_key = take_writes(at)
    if taken_key then
        return taken_key
    end

    -- From here on nothing is refused.
    local advances = drops + drop_count
    for i = advances, advances + 2 * advance_count - 1, 2 do
        advance(ARGV[i], ARGV[i + 1])
    end
    if write_count + drop_count == 0 then
        return version
    end
    local before = state and string.sub(state, 25) or string.rep('\0', 8)
    log_bytes = log_bytes + log(version + 1, before, undos, drops)
    if version > 0 then
        redis.call('SETRANGE', PREFIX .. 'digests', place_of(version), digest)
    end
    version = version + 1
    local packed = struct.pack('>I8', version)
    local present = {'+' .. token, packed}
    local next = next_digest(digest)
    local after = state and string.sub(state, 25, 48) or string.rep('\0', 8) .. next .. string.rep('\0', 8)
    for _, group in ipairs(groups) do
        write(group)
        present[#present + 1] = group.space
        present[#present + 1] = packed
        if group.space == 's:c' then
            after = packed .. string.sub(after, 9, 16) .. next
        end
    end
    -- A little more than the most, so that many go at once.
    if version - horizon > most_commits + math.min(most_commits / 100, MOST_TRIMMED) or log_bytes > most_bytes then
        horizon, log_bytes = trim(version, horizon, log_bytes)
    end
    present[#present + 1] = 'state'
    present[#present + 1] = packed .. struct.pack('>I8I8', horizon, log_bytes) .. after .. next
    if version == 1 then
        present[#present + 1] = 'format'
        present[#present + 1] = ARGV[1]
    end
    tell('HSET', META, present)
    return version
end

return run()
