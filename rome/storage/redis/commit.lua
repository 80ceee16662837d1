-- Applies a batch: all or nothing, once per token.
--
-- A script that fails half-way is not rolled back. So everything that can be refused is looked at before the first
-- write; what runs after that fails only if the data under our names is not ours.
--
-- ARGV  format, token, most commits and most bytes of the log, '1' to look whether the user may write
--       then five lists, each with its length first:
--       seen      version, digest
--       checks    space, since, demand (see Demand), a list of keys, a list of ranges (begin, end)
--       writes    space, a list of puts (key, value; only key in a space of entries), a list of deletions (key)
--       drops     space
--       advances  counter, number
-- Answers the version, or a refusal: {'conflict', space, key, since}, {'too old', since}, {'lost', version},
-- {'format', number}.

local MOST_TRIMMED = 64 -- commits that one commit removes from the log, at most
local MOST_DIGESTS = 131072 -- digests of former versions that are kept: more than the log is long, for they are small

local at = 6
local function take()
    at = at + 1
    return ARGV[at - 1]
end

-- The place of a list in ARGV, and its length; the cursor moves behind it.
local function take_list(width)
    local count = tonumber(take())
    local first = at
    at = at + count * width
    return {first = first, count = count, last = at - 1}
end

local function holds_entries(space)
    return string.sub(space, 1, 1) == 'i'
end

local function take_checks()
    local checks = {}
    for i = 1, tonumber(take()) do
        checks[i] = {space = take(), since = tonumber(take()), demand = take(), seen = {}, keys = take_list(1), ranges = take_list(2)}
    end
    return checks
end

local function take_writes()
    local groups = {}
    for i = 1, tonumber(take()) do
        local space = take()
        groups[i] = {space = space, puts = take_list(holds_entries(space) and 1 or 2), deletions = take_list(1)}
    end
    return groups
end

-- The place of a version's digest among those that are kept.
local function place_of(version)
    return version % MOST_DIGESTS * 8
end

-- The refusal, if a version that the batch rests on is not in our past, or too far back to tell.
local function unknown(meta, seen)
    for i = seen.first, seen.last, 2 do
        local version, digest = tonumber(ARGV[i]), string.sub(meta.digests, -8)
        if meta.version - version > MOST_DIGESTS then
            return {'too old', ARGV[i]}
        end
        if version < meta.version then
            digest = redis.call('GETRANGE', name('digests'), place_of(version), place_of(version) + 7)
        end
        if version > meta.version or digest ~= ARGV[i + 1] then
            return {'lost', ARGV[i]}
        end
    end
end

-- Whether a check guards a key.
local function guards(check, key)
    if not check.set then
        check.set = {}
        for i = check.keys.first, check.keys.last do
            check.set[ARGV[i]] = true
        end
    end
    if check.set[key] then
        return true
    end
    for i = check.ranges.first, check.ranges.last, 2 do
        if not less(key, ARGV[i]) and less(key, ARGV[i + 1]) then
            return true
        end
    end
    return false
end

local function is_there(space, key)
    local found = redis.call(holds_entries(space) and 'ZSCORE' or 'HGET', name('s:' .. space), key)
    return found ~= false and found ~= nil
end

-- Whether a write that the log tells of, the first of this key after the check's version, is what the check forbids.
-- `was_there`: the key was there before it.
local function forbids(check, key, was_there)
    if check.demand == 'u' then
        return true
    end
    if check.seen[key] then
        return false
    end
    check.seen[key] = true
    return was_there ~= is_there(check.space, key)
end

-- The refusal of a check that demands that no key of its range is there.
local function taken(check)
    for i = check.keys.first, check.keys.last do
        if is_there(check.space, ARGV[i]) then
            return {'conflict', check.space, ARGV[i], digits(check.since)}
        end
    end
    local order = name((holds_entries(check.space) and 's:' or 'o:') .. check.space)
    for i = check.ranges.first, check.ranges.last, 2 do
        local found = redis.call('ZRANGEBYLEX', order, '[' .. ARGV[i], '(' .. ARGV[i + 1], 'LIMIT', 0, 1)
        if found[1] then
            return {'conflict', check.space, found[1], digits(check.since)}
        end
    end
end

-- The refusal, if a commit of the log wrote a key that is checked. `pending`: space → checks.
local function conflict_in(version, undos, pending)
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
                if version > check.since and guards(check, key) and forbids(check, key, length >= 0) then
                    return {'conflict', space, key, digits(check.since)}
                end
            end
        end
        pos = stop
    end
end

-- The refusal for the first check that fails. Most are answered by when their space was last written.
local function validate(meta, checks)
    local pending, lowest = {}, nil
    for _, check in ipairs(checks) do
        if check.demand == 'n' then
            local refusal = taken(check)
            if refusal then
                return refusal
            end
        end
        local written = tonumber(redis.call('HGET', name('written'), check.space) or 0)
        if check.demand ~= 'n' and (written > check.since or check.since > meta.version) then
            if check.since < meta.horizon or check.since > meta.version then
                return {check.since < meta.horizon and 'too old' or 'lost', digits(check.since)}
            end
            pending[check.space] = pending[check.space] or {}
            table.insert(pending[check.space], check)
            lowest = math.min(lowest or check.since, check.since)
        end
    end
    while lowest and lowest < meta.version do
        local page = redis.call('XRANGE', name('log'), digits(lowest + 1), '+', 'COUNT', 100)
        for _, entry in ipairs(page) do
            lowest = lowest + 1
            local refusal = conflict_in(lowest, entry[2][6], pending)
            if refusal then
                return refusal
            end
        end
    end
end

-- The values that a space's keys have now, false for those that are not there.
local function present(space, keys)
    local command = holds_entries(space) and 'ZMSCORE' or 'HMGET'
    local values = {}
    chunks(#keys, function(first, last)
        for i, value in ipairs(redis.call(command, name('s:' .. space), unpack(keys, first, last))) do
            values[first + i - 1] = value and command == 'ZMSCORE' and '' or value
        end
    end)
    return values
end

-- Looks up what a group of writes will change, and adds it to the parts of the log's entry. `fresh` are the keys that
-- will be put where none was.
local function prepare(group, parts)
    local step = holds_entries(group.space) and 1 or 2
    local keys, fresh, pack, size = {}, {}, struct.pack, 0
    for i = group.puts.first, group.puts.last, step do
        keys[#keys + 1] = ARGV[i]
    end
    for i = group.deletions.first, group.deletions.last do
        keys[#keys + 1] = ARGV[i]
    end
    local head, place = #parts + 1, #parts + 2
    local olds = present(group.space, keys)
    for i = 1, #keys do
        local key, old = keys[i], olds[i]
        if old then
            -- The old value is a part of its own: joining it here would copy it once more.
            parts[place] = pack('>I4c0i4', #key, key, #old)
            parts[place + 1] = old
            place = place + 2
            size = size + 8 + #key + #old
        else
            parts[place] = pack('>I4c0i4', #key, key, -1)
            place = place + 1
            size = size + 8 + #key
            if i <= group.puts.count then
                fresh[#fresh + 1] = key
            end
        end
    end
    parts[head] = pack('>I4c0I4', #group.space, group.space, size)
    group.fresh = fresh
end

local function add_to_order(key, members)
    chunks(#members, function(first, last)
        local pairs_of = {}
        for i = first, last do
            pairs_of[#pairs_of + 1] = 0
            pairs_of[#pairs_of + 1] = members[i]
        end
        redis.call('ZADD', key, unpack(pairs_of))
    end)
end

local function remove(command, key, list)
    chunks(list.count, function(first, last)
        redis.call(command, key, unpack(ARGV, list.first + first - 1, list.first + last - 1))
    end)
end

local function write(group)
    local values, order = name('s:' .. group.space), name('o:' .. group.space)
    if holds_entries(group.space) then
        remove('ZREM', values, group.deletions)
        return add_to_order(values, group.fresh)
    end
    remove('HDEL', values, group.deletions)
    remove('ZREM', order, group.deletions)
    chunks(group.puts.count * 2, function(first, last)
        redis.call('HSET', values, unpack(ARGV, group.puts.first + first - 1, group.puts.first + last - 1))
    end)
    add_to_order(order, group.fresh)
end

-- The memory that a space takes.
local function size_of(space)
    local size = 0
    for _, part in ipairs({'s:', 'o:'}) do
        local used = redis.pcall('MEMORY', 'USAGE', name(part .. space))
        size = size + (type(used) == 'number' and used or 0)
    end
    return size
end

-- Forgets the oldest commits that the log has no room for, with their tokens and the spaces that they dropped. The
-- newest stays, so that its token is known.
local function trim(meta)
    local most_commits, most_bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
    local function is_too_long()
        local length = meta.version - meta.horizon
        return length > 1 and (length > most_commits or meta.log_bytes > most_bytes)
    end
    if not is_too_long() then
        return
    end
    local trimmed = 0
    for _, entry in ipairs(redis.call('LRANGE', name('trim'), 0, MOST_TRIMMED - 1)) do
        if not is_too_long() then
            break
        end
        local size, token, pos = struct.unpack('>dI4c0', entry)
        redis.call('HDEL', name('tokens'), token)
        while pos <= #entry do
            local space
            space, pos = struct.unpack('>I4c0', entry, pos)
            redis.call('UNLINK', name('s:' .. space), name('o:' .. space))
            redis.call('HDEL', name('written'), space)
        end
        meta.log_bytes = meta.log_bytes - size
        meta.horizon = meta.horizon + 1
        trimmed = trimmed + 1
    end
    redis.call('LTRIM', name('trim'), trimmed, -1)
    redis.call('XTRIM', name('log'), 'MINID', '~', digits(meta.horizon + 1))
end

-- The digest of the next version (`next_digest` in store.py).
local function next_digest(digest)
    local hex = redis.sha1hex(digest .. ARGV[2])
    return struct.pack('>I4I4', tonumber(string.sub(hex, 1, 8), 16), tonumber(string.sub(hex, 9, 16), 16))
end

-- Goes on to the next version; what it leaves behind is for the log.
local function go_on(meta, writes_catalog)
    local before = {catalog = meta.catalog, digests = meta.digests}
    local digest = string.sub(meta.digests, -8)
    local next = next_digest(digest)
    local incarnation, catalog = next, string.rep('\0', 8)
    if meta.version > 0 then
        redis.call('SETRANGE', name('digests'), place_of(meta.version), digest)
        incarnation, catalog = string.sub(meta.digests, 1, 8), string.sub(meta.digests, 9, 16)
    end
    meta.version = meta.version + 1
    if writes_catalog then
        meta.catalog, catalog = meta.version, next
    end
    meta.digests = incarnation .. catalog .. next
    return before
end

-- Adds the commit to the log.
local function log(meta, before, undos, drops)
    local token, size = ARGV[2], #undos + #ARGV[2]
    local entry = {struct.pack('>I4c0', #token, token)}
    for i = drops.first, drops.last do
        size = size + size_of(ARGV[i])
        entry[#entry + 1] = struct.pack('>I4c0', #ARGV[i], ARGV[i])
    end
    redis.call('XADD', name('log'), digits(meta.version) .. '-0', 'catalog', digits(before.catalog), 'digests',
        before.digests, 'undos', undos)
    redis.call('RPUSH', name('trim'), struct.pack('>d', size) .. table.concat(entry))
    redis.call('HSET', name('tokens'), token, digits(meta.version))
    meta.log_bytes = meta.log_bytes + size
end

local function permission()
    if ARGV[5] ~= '1' then
        return nil
    end
    local key = name('s:r0')
    return check_permission({
        {'XADD', key, '*', 'a', 'b'}, {'XTRIM', key, 'MINID', '~', '1'}, {'RPUSH', key, 'a'}, {'LTRIM', key, '1', '-1'},
        {'HSET', key, 'a', 'b'}, {'HDEL', key, 'a'}, {'ZADD', key, '0', 'a'}, {'ZREM', key, 'a'}, {'UNLINK', key},
        {'SETRANGE', key, '0', 'a'}
    })
end

local function writes_catalog(groups)
    for _, group in ipairs(groups) do
        if group.space == 'c' then
            return true
        end
    end
    return false
end

local function run()
    local meta, refusal = read_meta()
    refusal = refusal or permission()
    if refusal then
        return refusal
    end
    local before = redis.call('HGET', name('tokens'), ARGV[2])
    if before then
        return tonumber(before)
    end
    refusal = unknown(meta, take_list(2)) or validate(meta, take_checks())
    if refusal then
        return refusal
    end
    local groups, drops, advances = take_writes(), take_list(1), take_list(2)
    local parts = {}
    for _, group in ipairs(groups) do
        prepare(group, parts)
    end

    -- From here on nothing is refused.
    local is_new = #groups + drops.count > 0
    if is_new then
        log(meta, go_on(meta, writes_catalog(groups)), table.concat(parts), drops)
    end
    for i = advances.first, advances.last, 2 do
        advance(ARGV[i], ARGV[i + 1])
    end
    if not is_new then
        return meta.version
    end
    for _, group in ipairs(groups) do
        write(group)
        redis.call('HSET', name('written'), group.space, digits(meta.version))
    end
    trim(meta)
    redis.call('HSET', META, 'version', digits(meta.version), 'catalog', digits(meta.catalog), 'horizon',
        digits(meta.horizon), 'format', digits(meta.format), 'log_bytes', digits(meta.log_bytes), 'digests',
        meta.digests)
    return meta.version
end

return run()
