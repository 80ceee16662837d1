-- Return the refusal if the database has another format, or a state that is none.
local function other_format(format, state)
    if format and format ~= ARGV[1] then
        return {'format', format}
    end
    if #(state or '') ~= (format and 56 or 0) then
        return {'state'}
    end
end
