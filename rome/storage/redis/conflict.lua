-- Return the refusal if the commits in the log fail a check. `written_since`: space → checks that it was written since.
-- `all`: search the whole log, however long it is.
local function conflict(args, written_since, all)
    -- include digits
    -- include less
    -- include values_of

    -- Return true if a key is in the range of a check.
    local function guards(check, key)
        if not check.set then
            check.set = {}
            for i = check.keys, check.ranges - 1 do
                check.set[args[i]] = true
            end
        end
        if check.set[key] then
            return true
        end
        for i = check.ranges, check.stop - 1, 2 do
            if not less(key, args[i]) and less(key, args[i + 1]) then
                return true
            end
        end
        return false
    end

    -- Return true if a write fails a check. Only the first write of the key after the check's version counts.
    -- `was_there`: the key existed before it.
    local function forbids(check, key, was_there)
        if check.demand == UNWRITTEN then
            return true
        end
        check.seen = check.seen or {}
        if check.seen[key] then
            return false
        end
        check.seen[key] = true
        return was_there ~= (values_of(check.space, {key}, 1, 1)[1] and true or false)
    end

    -- Return true if a check guards a key that a space had when it was emptied. `order`: the sorted set of these keys.
    local function had_key(check, order)
        for _, score in ipairs(check.ranges > check.keys and send('ZMSCORE', order, args, check.keys, check.ranges - 1) or {}) do
            if score then
                return true
            end
        end
        for i = check.ranges, check.stop - 1, 2 do
            if call('ZLEXCOUNT', order, '[' .. args[i], '(' .. args[i + 1]) > 0 then
                return true
            end
        end
    end

    local function conflict_in(checks, version, fields)
        local keys = cmsgpack.unpack(fields[2])
        if type(keys) == 'string' then
            local order = PREFIX .. (string.byte(keys) == ENTRIES and 's:' or 'o:') .. keys
            if call('ZLEXCOUNT', order, '-', '+') ~= cmsgpack.unpack(fields[3])[1] then
                return {'too old', digits(checks[1].since)} -- the server has evicted it
            end
            for _, check in ipairs(checks) do
                if version > check.since and had_key(check, order) then
                    return {'conflict', check.space, args[check.keys] or '', digits(check.since)}
                end
            end
            return nil
        end
        local olds = fields[3]
        local flags = sub(olds, 1, 1) < '2' and olds
        olds = flags or cmsgpack.unpack(olds)
        for i, key in ipairs(keys) do
            for _, check in ipairs(checks) do
                if version > check.since and guards(check, key) then
                    local was_there = olds[i] and true or false
                    if flags then
                        was_there = sub(flags, i, i) == '1'
                    end
                    if forbids(check, key, was_there) then
                        return {'conflict', check.space, key, digits(check.since)}
                    end
                end
            end
        end
    end

    local scanned, page = 0, 1
    for space, checks in pairs(written_since) do
        local since, newest = checks[1].since, nil
        for _, check in ipairs(checks) do
            since = math.min(since, check.since)
        end
        local from = digits(since + 1)
        while from do
            local entries = call('XRANGE', PREFIX .. 'k:' .. sub(space, 3), from, '+', 'COUNT', page)
            for _, entry in ipairs(entries) do
                local fields = entry[2]
                scanned = scanned + #fields[2] + #fields[3] + #fields[4]
                if scanned > MOST_SCANNED and not all then
                    return {'behind'}
                end
                newest = tonumber(string.match(entry[1], '%d+'))
                local refusal = conflict_in(checks, newest, fields)
                if refusal then
                    return refusal
                end
            end
            from = entries[page] and '(' .. entries[page][1]
            page = math.min(2 * page, 32) -- few at first, because one may be larger than all that is searched
        end
        if newest ~= checks[1].written then
            return {'too old', digits(since)} -- the server has evicted the log of the space
        end
    end
end
