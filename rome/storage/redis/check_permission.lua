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
