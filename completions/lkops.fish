# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_lkops_global_optspecs
    string join \n h/help V/version
end

function __fish_lkops_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_lkops_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_lkops_using_subcommand
    set -l cmd (__fish_lkops_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c lkops -n "__fish_lkops_needs_command" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_needs_command" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_needs_command" -f -a "serve" -d 'Run the media server'
complete -c lkops -n "__fish_lkops_needs_command" -f -a "generate-keys" -d 'Make an API key and its secret'
complete -c lkops -n "__fish_lkops_needs_command" -f -a "ports" -d 'Print the ports a configuration needs open'
complete -c lkops -n "__fish_lkops_needs_command" -f -a "create-join-token" -d 'Print a token to join a room, for development'
complete -c lkops -n "__fish_lkops_needs_command" -f -a "nodes" -d 'List the nodes of a cluster, their rooms and people'
complete -c lkops -n "__fish_lkops_needs_command" -f -a "region" -d 'Regions and their URLs'
complete -c lkops -n "__fish_lkops_needs_command" -f -a "token" -d 'Access tokens'
complete -c lkops -n "__fish_lkops_needs_command" -f -a "load-test" -d 'Fill rooms with synthetic participants and measure what they get'
complete -c lkops -n "__fish_lkops_needs_command" -f -a "plan" -d 'Say how many cores, gigabits and nodes a shape needs'
complete -c lkops -n "__fish_lkops_needs_command" -f -a "probe" -d 'Join a server as a stranger would and say which step fails, and why'
complete -c lkops -n "__fish_lkops_needs_command" -f -a "help-verbose" -d 'Print the help of serve with the flag of every configuration key'
complete -c lkops -n "__fish_lkops_needs_command" -f -a "docs" -d 'Man pages, shell completions and the sample configuration'
complete -c lkops -n "__fish_lkops_needs_command" -f -a "drain" -d 'Empty nodes: they take no new rooms and end when nobody is left'
complete -c lkops -n "__fish_lkops_needs_command" -f -a "cordon" -d 'Have nodes take no new rooms; theirs go on'
complete -c lkops -n "__fish_lkops_needs_command" -f -a "uncordon" -d 'Have cordoned nodes take new rooms again'
complete -c lkops -n "__fish_lkops_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c lkops -n "__fish_lkops_using_subcommand serve" -l config -d 'Configuration file' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand serve" -l config-body -d 'Configuration as YAML text, in place of a file [env: LIVEKIT_CONFIG]' -r
complete -c lkops -n "__fish_lkops_using_subcommand serve" -l bind -d 'Address to listen on; may be given more than once' -r
complete -c lkops -n "__fish_lkops_using_subcommand serve" -l key-file -d 'File of API keys and secrets' -r
complete -c lkops -n "__fish_lkops_using_subcommand serve" -l keys -d 'API keys, as lines of `key: secret` [env: LIVEKIT_KEYS]' -r
complete -c lkops -n "__fish_lkops_using_subcommand serve" -l region -d 'Region of this node, for the regionaware node selector [env: LIVEKIT_REGION]' -r
complete -c lkops -n "__fish_lkops_using_subcommand serve" -l node-ip -d 'Address told to clients; found by itself when not given [env: NODE_IP]' -r
complete -c lkops -n "__fish_lkops_using_subcommand serve" -l udp-port -d 'UDP port, or range of ports, for media [env: UDP_PORT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand serve" -l redis-host -d 'Redis server [env: REDIS_HOST]' -r
complete -c lkops -n "__fish_lkops_using_subcommand serve" -l redis-password -d 'Password of the Redis server [env: REDIS_PASSWORD]' -r
complete -c lkops -n "__fish_lkops_using_subcommand serve" -l turn-cert -d 'Certificate of the TURN server [env: LIVEKIT_TURN_CERT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand serve" -l turn-key -d 'Key of that certificate [env: LIVEKIT_TURN_KEY]' -r
complete -c lkops -n "__fish_lkops_using_subcommand serve" -s o -l output -d 'Form of --print-config' -r -f -a "text\t''
json\t''"
complete -c lkops -n "__fish_lkops_using_subcommand serve" -l cpuprofile -d 'Taken for compatibility, without effect' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand serve" -l memprofile -d 'Taken for compatibility, without effect' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand serve" -l dev -d 'Development mode: debug log, placeholder keys, loopback only; insecure'
complete -c lkops -n "__fish_lkops_using_subcommand serve" -l disable-strict-config -d 'Let unknown configuration keys pass'
complete -c lkops -n "__fish_lkops_using_subcommand serve" -l print-config -d 'Print every configuration key with its value and where it came from, and stop; secrets are not shown'
complete -c lkops -n "__fish_lkops_using_subcommand serve" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand serve" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand generate-keys" -s o -l output -d 'Form of the output' -r -f -a "text\t''
json\t''"
complete -c lkops -n "__fish_lkops_using_subcommand generate-keys" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand generate-keys" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand ports" -l config -d 'Configuration file' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand ports" -l config-body -d 'Configuration as YAML text, in place of a file [env: LIVEKIT_CONFIG]' -r
complete -c lkops -n "__fish_lkops_using_subcommand ports" -l bind -d 'Address to listen on; may be given more than once' -r
complete -c lkops -n "__fish_lkops_using_subcommand ports" -l key-file -d 'File of API keys and secrets' -r
complete -c lkops -n "__fish_lkops_using_subcommand ports" -l keys -d 'API keys, as lines of `key: secret` [env: LIVEKIT_KEYS]' -r
complete -c lkops -n "__fish_lkops_using_subcommand ports" -l region -d 'Region of this node, for the regionaware node selector [env: LIVEKIT_REGION]' -r
complete -c lkops -n "__fish_lkops_using_subcommand ports" -l node-ip -d 'Address told to clients; found by itself when not given [env: NODE_IP]' -r
complete -c lkops -n "__fish_lkops_using_subcommand ports" -l udp-port -d 'UDP port, or range of ports, for media [env: UDP_PORT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand ports" -l redis-host -d 'Redis server [env: REDIS_HOST]' -r
complete -c lkops -n "__fish_lkops_using_subcommand ports" -l redis-password -d 'Password of the Redis server [env: REDIS_PASSWORD]' -r
complete -c lkops -n "__fish_lkops_using_subcommand ports" -l turn-cert -d 'Certificate of the TURN server [env: LIVEKIT_TURN_CERT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand ports" -l turn-key -d 'Key of that certificate [env: LIVEKIT_TURN_KEY]' -r
complete -c lkops -n "__fish_lkops_using_subcommand ports" -s o -l output -d 'Form of the output' -r -f -a "text\t''
json\t''"
complete -c lkops -n "__fish_lkops_using_subcommand ports" -l dev -d 'Development mode: debug log, placeholder keys, loopback only; insecure'
complete -c lkops -n "__fish_lkops_using_subcommand ports" -l disable-strict-config -d 'Let unknown configuration keys pass'
complete -c lkops -n "__fish_lkops_using_subcommand ports" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand ports" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l api-key -d 'API key to sign with, instead of the configuration\'s first [env: LIVEKIT_API_KEY]' -r
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l api-secret -d 'Secret of that key [env: LIVEKIT_API_SECRET]' -r
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l config -d 'Configuration file' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l config-body -d 'Configuration as YAML text, in place of a file [env: LIVEKIT_CONFIG]' -r
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l bind -d 'Address to listen on; may be given more than once' -r
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l key-file -d 'File of API keys and secrets' -r
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l keys -d 'API keys, as lines of `key: secret` [env: LIVEKIT_KEYS]' -r
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l region -d 'Region of this node, for the regionaware node selector [env: LIVEKIT_REGION]' -r
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l node-ip -d 'Address told to clients; found by itself when not given [env: NODE_IP]' -r
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l udp-port -d 'UDP port, or range of ports, for media [env: UDP_PORT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l redis-host -d 'Redis server [env: REDIS_HOST]' -r
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l redis-password -d 'Password of the Redis server [env: REDIS_PASSWORD]' -r
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l turn-cert -d 'Certificate of the TURN server [env: LIVEKIT_TURN_CERT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l turn-key -d 'Key of that certificate [env: LIVEKIT_TURN_KEY]' -r
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l room -d 'Room to join' -r
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l identity -d 'Who the bearer is' -r
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l dev -d 'Development mode: debug log, placeholder keys, loopback only; insecure'
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l disable-strict-config -d 'Let unknown configuration keys pass'
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -l recorder -d 'Hidden, and may only subscribe'
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand create-join-token" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -s o -l output -d 'Form of the output; a table leaves out the columns for which a terminal has no room' -r -f -a "text\t''
json\t''"
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -l config -d 'Configuration file' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -l config-body -d 'Configuration as YAML text, in place of a file [env: LIVEKIT_CONFIG]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -l bind -d 'Address to listen on; may be given more than once' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -l key-file -d 'File of API keys and secrets' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -l keys -d 'API keys, as lines of `key: secret` [env: LIVEKIT_KEYS]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -l region -d 'Region of this node, for the regionaware node selector [env: LIVEKIT_REGION]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -l node-ip -d 'Address told to clients; found by itself when not given [env: NODE_IP]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -l udp-port -d 'UDP port, or range of ports, for media [env: UDP_PORT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -l redis-host -d 'Redis server [env: REDIS_HOST]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -l redis-password -d 'Password of the Redis server [env: REDIS_PASSWORD]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -l turn-cert -d 'Certificate of the TURN server [env: LIVEKIT_TURN_CERT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -l turn-key -d 'Key of that certificate [env: LIVEKIT_TURN_KEY]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -l dev -d 'Development mode: debug log, placeholder keys, loopback only; insecure'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -l disable-strict-config -d 'Let unknown configuration keys pass'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -f -a "inspect" -d 'Print everything a node tells of itself, and its rooms'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -f -a "rooms" -d 'List rooms, the fullest first'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -f -a "participants" -d 'List the people of a room or of a node'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and not __fish_seen_subcommand_from inspect rooms participants help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from inspect" -s o -l output -d 'Form of the output; a table leaves out the columns for which a terminal has no room' -r -f -a "text\t''
json\t''"
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from inspect" -l config -d 'Configuration file' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from inspect" -l config-body -d 'Configuration as YAML text, in place of a file [env: LIVEKIT_CONFIG]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from inspect" -l bind -d 'Address to listen on; may be given more than once' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from inspect" -l key-file -d 'File of API keys and secrets' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from inspect" -l keys -d 'API keys, as lines of `key: secret` [env: LIVEKIT_KEYS]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from inspect" -l region -d 'Region of this node, for the regionaware node selector [env: LIVEKIT_REGION]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from inspect" -l node-ip -d 'Address told to clients; found by itself when not given [env: NODE_IP]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from inspect" -l udp-port -d 'UDP port, or range of ports, for media [env: UDP_PORT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from inspect" -l redis-host -d 'Redis server [env: REDIS_HOST]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from inspect" -l redis-password -d 'Password of the Redis server [env: REDIS_PASSWORD]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from inspect" -l turn-cert -d 'Certificate of the TURN server [env: LIVEKIT_TURN_CERT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from inspect" -l turn-key -d 'Key of that certificate [env: LIVEKIT_TURN_KEY]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from inspect" -l dev -d 'Development mode: debug log, placeholder keys, loopback only; insecure'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from inspect" -l disable-strict-config -d 'Let unknown configuration keys pass'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from inspect" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from rooms" -s o -l output -d 'Form of the output; a table leaves out the columns for which a terminal has no room' -r -f -a "text\t''
json\t''"
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from rooms" -l config -d 'Configuration file' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from rooms" -l config-body -d 'Configuration as YAML text, in place of a file [env: LIVEKIT_CONFIG]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from rooms" -l bind -d 'Address to listen on; may be given more than once' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from rooms" -l key-file -d 'File of API keys and secrets' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from rooms" -l keys -d 'API keys, as lines of `key: secret` [env: LIVEKIT_KEYS]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from rooms" -l region -d 'Region of this node, for the regionaware node selector [env: LIVEKIT_REGION]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from rooms" -l node-ip -d 'Address told to clients; found by itself when not given [env: NODE_IP]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from rooms" -l udp-port -d 'UDP port, or range of ports, for media [env: UDP_PORT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from rooms" -l redis-host -d 'Redis server [env: REDIS_HOST]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from rooms" -l redis-password -d 'Password of the Redis server [env: REDIS_PASSWORD]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from rooms" -l turn-cert -d 'Certificate of the TURN server [env: LIVEKIT_TURN_CERT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from rooms" -l turn-key -d 'Key of that certificate [env: LIVEKIT_TURN_KEY]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from rooms" -l dev -d 'Development mode: debug log, placeholder keys, loopback only; insecure'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from rooms" -l disable-strict-config -d 'Let unknown configuration keys pass'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from rooms" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from rooms" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -l node -d 'All rooms of this node' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -s o -l output -d 'Form of the output; a table leaves out the columns for which a terminal has no room' -r -f -a "text\t''
json\t''"
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -l config -d 'Configuration file' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -l config-body -d 'Configuration as YAML text, in place of a file [env: LIVEKIT_CONFIG]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -l bind -d 'Address to listen on; may be given more than once' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -l key-file -d 'File of API keys and secrets' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -l keys -d 'API keys, as lines of `key: secret` [env: LIVEKIT_KEYS]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -l region -d 'Region of this node, for the regionaware node selector [env: LIVEKIT_REGION]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -l node-ip -d 'Address told to clients; found by itself when not given [env: NODE_IP]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -l udp-port -d 'UDP port, or range of ports, for media [env: UDP_PORT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -l redis-host -d 'Redis server [env: REDIS_HOST]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -l redis-password -d 'Password of the Redis server [env: REDIS_PASSWORD]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -l turn-cert -d 'Certificate of the TURN server [env: LIVEKIT_TURN_CERT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -l turn-key -d 'Key of that certificate [env: LIVEKIT_TURN_KEY]' -r
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -l dev -d 'Development mode: debug log, placeholder keys, loopback only; insecure'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -l disable-strict-config -d 'Let unknown configuration keys pass'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from participants" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from help" -f -a "inspect" -d 'Print everything a node tells of itself, and its rooms'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from help" -f -a "rooms" -d 'List rooms, the fullest first'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from help" -f -a "participants" -d 'List the people of a room or of a node'
complete -c lkops -n "__fish_lkops_using_subcommand nodes; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c lkops -n "__fish_lkops_using_subcommand region; and not __fish_seen_subcommand_from pick help" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand region; and not __fish_seen_subcommand_from pick help" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand region; and not __fish_seen_subcommand_from pick help" -f -a "pick" -d 'Print the URL of the region nearest to a caller, from `lkops.regions`'
complete -c lkops -n "__fish_lkops_using_subcommand region; and not __fish_seen_subcommand_from pick help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -l ip -d 'Address of the caller; a region whose networks hold it comes first' -r
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -l lat-lon -d 'Where the caller is, in degrees' -r
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -s o -l output -d 'Form of the output; json lists all regions, nearest first' -r -f -a "text\t''
json\t''"
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -l config -d 'Configuration file' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -l config-body -d 'Configuration as YAML text, in place of a file [env: LIVEKIT_CONFIG]' -r
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -l bind -d 'Address to listen on; may be given more than once' -r
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -l key-file -d 'File of API keys and secrets' -r
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -l keys -d 'API keys, as lines of `key: secret` [env: LIVEKIT_KEYS]' -r
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -l region -d 'Region of this node, for the regionaware node selector [env: LIVEKIT_REGION]' -r
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -l node-ip -d 'Address told to clients; found by itself when not given [env: NODE_IP]' -r
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -l udp-port -d 'UDP port, or range of ports, for media [env: UDP_PORT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -l redis-host -d 'Redis server [env: REDIS_HOST]' -r
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -l redis-password -d 'Password of the Redis server [env: REDIS_PASSWORD]' -r
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -l turn-cert -d 'Certificate of the TURN server [env: LIVEKIT_TURN_CERT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -l turn-key -d 'Key of that certificate [env: LIVEKIT_TURN_KEY]' -r
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -l dev -d 'Development mode: debug log, placeholder keys, loopback only; insecure'
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -l disable-strict-config -d 'Let unknown configuration keys pass'
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from pick" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from help" -f -a "pick" -d 'Print the URL of the region nearest to a caller, from `lkops.regions`'
complete -c lkops -n "__fish_lkops_using_subcommand region; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c lkops -n "__fish_lkops_using_subcommand token; and not __fish_seen_subcommand_from create help" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand token; and not __fish_seen_subcommand_from create help" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand token; and not __fish_seen_subcommand_from create help" -f -a "create" -d 'Print an access token'
complete -c lkops -n "__fish_lkops_using_subcommand token; and not __fish_seen_subcommand_from create help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l api-key -d 'API key to sign with, instead of the configuration\'s first [env: LIVEKIT_API_KEY]' -r
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l api-secret -d 'Secret of that key [env: LIVEKIT_API_SECRET]' -r
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l config -d 'Configuration file' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l config-body -d 'Configuration as YAML text, in place of a file [env: LIVEKIT_CONFIG]' -r
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l bind -d 'Address to listen on; may be given more than once' -r
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l key-file -d 'File of API keys and secrets' -r
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l keys -d 'API keys, as lines of `key: secret` [env: LIVEKIT_KEYS]' -r
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l region -d 'Region of this node, for the regionaware node selector [env: LIVEKIT_REGION]' -r
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l node-ip -d 'Address told to clients; found by itself when not given [env: NODE_IP]' -r
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l udp-port -d 'UDP port, or range of ports, for media [env: UDP_PORT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l redis-host -d 'Redis server [env: REDIS_HOST]' -r
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l redis-password -d 'Password of the Redis server [env: REDIS_PASSWORD]' -r
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l turn-cert -d 'Certificate of the TURN server [env: LIVEKIT_TURN_CERT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l turn-key -d 'Key of that certificate [env: LIVEKIT_TURN_KEY]' -r
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l identity -d 'Who the bearer is' -r
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l room -d 'Room the grants are for' -r
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l name -d 'Name others see' -r
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l valid-for -d 'How long the token is valid, such as 30m or 24h' -r
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -s o -l output -d 'Form of the output' -r -f -a "text\t''
json\t''"
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l dev -d 'Development mode: debug log, placeholder keys, loopback only; insecure'
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l disable-strict-config -d 'Let unknown configuration keys pass'
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l join -d 'May join the room'
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l create -d 'May create rooms'
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l list -d 'May list rooms'
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -l admin -d 'May administer the room'
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from create" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from help" -f -a "create" -d 'Print an access token'
complete -c lkops -n "__fish_lkops_using_subcommand token; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l workers -d 'Have so many `lkops load-test worker` processes make the load, found at --redis' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l redis -d 'Redis to meet at, host:port or a redis:// URL; may be the one of a cluster' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l crew -d 'Name under which workers and coordinator find each other' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l wait -d 'How long the workers are waited for' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l url -d 'URL of the server, ws:// or http://' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l api-key -d 'API key' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l api-secret -d 'Secret of the key' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l room -d 'Name of the room; several are numbered [default: a random one]' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l duration -d 'Time to measure once all have joined, such as 30s or 5m [default: until stopped]' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l video-publishers -l publishers -d 'Participants of each room that publish video and watch nobody' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l audio-publishers -d 'Participants of each room that publish audio and hear nobody; as far as they go, the same as the video publishers' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l subscribers -d 'Participants of each room that subscribe' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l participants -d 'Participants of each room that publish audio and video and subscribe to all others' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l rooms -d 'Number of such rooms' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l shape -d 'Rooms and people in the shape language, in place of the numbers above' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l scenario -d 'Rooms with times of their own and storms, from a YAML file, in place of the numbers above' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l identity-prefix -d 'What identities begin with [default: a random text]' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l video-resolution -d 'Highest encoding of published video' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l video-codec -d 'Codec of published video: vp8, h264, vp9 or av1 [default: vp8 and h264 in turns for --video-publishers, vp8 for --participants and --shape]' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l num-per-second -d 'Participants that arrive each second, whether or not the server copes [default: 5]' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l layout -d 'Whose video subscribers watch: all, speaker (1 large, 5 small), 3x3 (medium), 4x4, 5x5 (small); all audio is heard [default: speaker for --subscribers, all for --participants and --shape]' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l threads -d 'Media threads [default: the machine\'s cores]' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l server-pid -d 'Watch the server process of that id on this machine: CPU per packet, memory, dropped datagrams' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l metrics-url -d 'Read the server\'s own figures from this page in the Prometheus text format at both ends' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l fail-if -d 'Exit with 4 if that holds at the end, such as join_p95>500ms, loss>0.5%, latency_p99>100ms; may be repeated' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l html -d 'Write a page with charts as well' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l calibration -d 'Calibration for --verify-plan [default: the shipped one]' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l compare -d 'Compare with an earlier run\'s -o json' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -s o -l output -d 'Form of the results' -r -f -a "text\t''
json\t''
csv\t'A line for each received track'"
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l dev -d 'A server in development mode on this machine: its URL, key and secret'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l no-simulcast -d 'Publish one encoding of each video instead of simulcast'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l simulate-speakers -d 'Announce changing speakers'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l run-all -d 'Run LiveKit\'s set of cases, one after the other, in place of the numbers above'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l single-connection -d 'One peer connection for each participant instead of two'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -l verify-plan -d 'Show what `lkops plan` predicts beside what was measured'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -f -a "find-capacity" -d 'Let the load grow until a --fail-if condition is met, and name what was in the way'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -f -a "calibrate" -d 'Measure what packets, bursts, people and tracks cost a server on this machine, for `lkops plan`'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -f -a "worker" -d 'Make a part of the load another process, on any machine, asks for over Redis'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and not __fish_seen_subcommand_from find-capacity calibrate worker help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l workers -d 'Have so many `lkops load-test worker` processes make the load, found at --redis' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l redis -d 'Redis to meet at, host:port or a redis:// URL; may be the one of a cluster' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l crew -d 'Name under which workers and coordinator find each other' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l wait -d 'How long the workers are waited for' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l url -d 'URL of the server, ws:// or http://' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l api-key -d 'API key' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l api-secret -d 'Secret of the key' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l room -d 'Name of the room; several are numbered [default: a random one]' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l duration -d 'Time to measure once all have joined, such as 30s or 5m [default: until stopped]' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l video-publishers -l publishers -d 'Participants of each room that publish video and watch nobody' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l audio-publishers -d 'Participants of each room that publish audio and hear nobody; as far as they go, the same as the video publishers' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l subscribers -d 'Participants of each room that subscribe' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l participants -d 'Participants of each room that publish audio and video and subscribe to all others' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l rooms -d 'Number of such rooms' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l shape -d 'Rooms and people in the shape language, in place of the numbers above' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l scenario -d 'Rooms with times of their own and storms, from a YAML file, in place of the numbers above' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l identity-prefix -d 'What identities begin with [default: a random text]' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l video-resolution -d 'Highest encoding of published video' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l video-codec -d 'Codec of published video: vp8, h264, vp9 or av1 [default: vp8 and h264 in turns for --video-publishers, vp8 for --participants and --shape]' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l num-per-second -d 'Participants that arrive each second, whether or not the server copes [default: 5]' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l layout -d 'Whose video subscribers watch: all, speaker (1 large, 5 small), 3x3 (medium), 4x4, 5x5 (small); all audio is heard [default: speaker for --subscribers, all for --participants and --shape]' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l threads -d 'Media threads [default: the machine\'s cores]' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l server-pid -d 'Watch the server process of that id on this machine: CPU per packet, memory, dropped datagrams' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l metrics-url -d 'Read the server\'s own figures from this page in the Prometheus text format at both ends' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l fail-if -d 'Exit with 4 if that holds at the end, such as join_p95>500ms, loss>0.5%, latency_p99>100ms; may be repeated' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l html -d 'Write a page with charts as well' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l calibration -d 'Calibration for --verify-plan [default: the shipped one]' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l compare -d 'Compare with an earlier run\'s -o json' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -s o -l output -d 'Form of the results' -r -f -a "text\t''
json\t''
csv\t'A line for each received track'"
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l grow -d 'What grows' -r -f -a "rooms\t''
subscribers\t''"
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l max -d 'Times the given numbers at most' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l dev -d 'A server in development mode on this machine: its URL, key and secret'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l no-simulcast -d 'Publish one encoding of each video instead of simulcast'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l simulate-speakers -d 'Announce changing speakers'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l run-all -d 'Run LiveKit\'s set of cases, one after the other, in place of the numbers above'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l single-connection -d 'One peer connection for each participant instead of two'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -l verify-plan -d 'Show what `lkops plan` predicts beside what was measured'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from find-capacity" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from calibrate" -l url -d 'URL of the server, ws:// or http://' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from calibrate" -l api-key -d 'API key' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from calibrate" -l api-secret -d 'Secret of the key' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from calibrate" -l server-pid -d 'The server\'s process on this machine' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from calibrate" -l duration -d 'Time of each run' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from calibrate" -l rounds -d 'How often each of the eight shapes is run; the run in the middle counts' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from calibrate" -l machine -d 'What to call this machine' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from calibrate" -l out -d 'Where the result goes [default: standard output]' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from calibrate" -l dev -d 'A server in development mode on this machine: its URL, key and secret'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from calibrate" -l busy -d 'Measure although other processes are busy; the result tells how much they took'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from calibrate" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from calibrate" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from worker" -l redis -d 'Redis to meet at, host:port or a redis:// URL; may be the one of a cluster' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from worker" -l crew -d 'Name under which workers and coordinator find each other' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from worker" -l name -d 'Name in reports [default: a random one]' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from worker" -l threads -d 'Media threads [default: the machine\'s cores]' -r
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from worker" -l once -d 'End after one test'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from worker" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from worker" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from help" -f -a "find-capacity" -d 'Let the load grow until a --fail-if condition is met, and name what was in the way'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from help" -f -a "calibrate" -d 'Measure what packets, bursts, people and tracks cost a server on this machine, for `lkops plan`'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from help" -f -a "worker" -d 'Make a part of the load another process, on any machine, asks for over Redis'
complete -c lkops -n "__fish_lkops_using_subcommand load-test; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c lkops -n "__fish_lkops_using_subcommand plan" -l shape -d 'Rooms and people as `lkops load-test` takes them, such as \'25x(4av) + 1x(1v,800s)\'' -r
complete -c lkops -n "__fish_lkops_using_subcommand plan" -l calibration -d 'What things cost, from `lkops load-test calibrate` [default: the shipped one]' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand plan" -l machines -d 'Further machines, or others under known names: a list in YAML' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand plan" -l machine -d 'Only that machine' -r
complete -c lkops -n "__fish_lkops_using_subcommand plan" -s o -l output -d 'Form of the output' -r -f -a "text\t''
json\t''"
complete -c lkops -n "__fish_lkops_using_subcommand plan" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand plan" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand probe" -l api-key -d 'API key' -r
complete -c lkops -n "__fish_lkops_using_subcommand probe" -l api-secret -d 'Secret of the key' -r
complete -c lkops -n "__fish_lkops_using_subcommand probe" -l token -d 'Token to join by in place of a key; to be given twice, first for who publishes, then for who subscribes' -r
complete -c lkops -n "__fish_lkops_using_subcommand probe" -l room -d 'Room to meet in [default: a random one]' -r
complete -c lkops -n "__fish_lkops_using_subcommand probe" -l duration -d 'How long media is measured' -r
complete -c lkops -n "__fish_lkops_using_subcommand probe" -l fail-if -d 'Exit with 4 if that holds, such as join>2s, loss>1%, latency_p95>100ms; may be repeated' -r
complete -c lkops -n "__fish_lkops_using_subcommand probe" -l every -d 'Probe again and again at this interval, a line each' -r
complete -c lkops -n "__fish_lkops_using_subcommand probe" -l metrics-port -d 'Show the results as lkops_probe_* metrics at http://:PORT/metrics' -r
complete -c lkops -n "__fish_lkops_using_subcommand probe" -s o -l output -d 'Form of the output' -r -f -a "text\t''
json\t''"
complete -c lkops -n "__fish_lkops_using_subcommand probe" -l dev -d 'A server in development mode on this machine: its URL, key and secret'
complete -c lkops -n "__fish_lkops_using_subcommand probe" -l relay-only -d 'Send media through the server\'s TURN servers and no other way'
complete -c lkops -n "__fish_lkops_using_subcommand probe" -l tcp-only -d 'Send media over TCP and no other way'
complete -c lkops -n "__fish_lkops_using_subcommand probe" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand probe" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand help-verbose" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand help-verbose" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand docs; and not __fish_seen_subcommand_from man completions config help" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand docs; and not __fish_seen_subcommand_from man completions config help" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand docs; and not __fish_seen_subcommand_from man completions config help" -f -a "man" -d 'Write a man page for every command'
complete -c lkops -n "__fish_lkops_using_subcommand docs; and not __fish_seen_subcommand_from man completions config help" -f -a "completions" -d 'Write completions for bash, zsh and fish'
complete -c lkops -n "__fish_lkops_using_subcommand docs; and not __fish_seen_subcommand_from man completions config help" -f -a "config" -d 'Print a livekit.yaml with every key, its meaning and its default'
complete -c lkops -n "__fish_lkops_using_subcommand docs; and not __fish_seen_subcommand_from man completions config help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c lkops -n "__fish_lkops_using_subcommand docs; and __fish_seen_subcommand_from man" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand docs; and __fish_seen_subcommand_from man" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand docs; and __fish_seen_subcommand_from completions" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand docs; and __fish_seen_subcommand_from completions" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand docs; and __fish_seen_subcommand_from config" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand docs; and __fish_seen_subcommand_from config" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand docs; and __fish_seen_subcommand_from help" -f -a "man" -d 'Write a man page for every command'
complete -c lkops -n "__fish_lkops_using_subcommand docs; and __fish_seen_subcommand_from help" -f -a "completions" -d 'Write completions for bash, zsh and fish'
complete -c lkops -n "__fish_lkops_using_subcommand docs; and __fish_seen_subcommand_from help" -f -a "config" -d 'Print a livekit.yaml with every key, its meaning and its default'
complete -c lkops -n "__fish_lkops_using_subcommand docs; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l config -d 'Configuration file' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l config-body -d 'Configuration as YAML text, in place of a file [env: LIVEKIT_CONFIG]' -r
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l bind -d 'Address to listen on; may be given more than once' -r
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l key-file -d 'File of API keys and secrets' -r
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l keys -d 'API keys, as lines of `key: secret` [env: LIVEKIT_KEYS]' -r
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l node-ip -d 'Address told to clients; found by itself when not given [env: NODE_IP]' -r
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l udp-port -d 'UDP port, or range of ports, for media [env: UDP_PORT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l redis-host -d 'Redis server [env: REDIS_HOST]' -r
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l redis-password -d 'Password of the Redis server [env: REDIS_PASSWORD]' -r
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l turn-cert -d 'Certificate of the TURN server [env: LIVEKIT_TURN_CERT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l turn-key -d 'Key of that certificate [env: LIVEKIT_TURN_KEY]' -r
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l deadline -d 'After this time whoever is left is told to reconnect and lands on other nodes; without it the node waits for ever' -r
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l timeout -d 'Give up waiting after this time, with exit code 4' -r
complete -c lkops -n "__fish_lkops_using_subcommand drain" -s o -l output -d 'Form of the output' -r -f -a "text\t''
json\t''"
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l region -d 'Every node of this region' -r
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l all -d 'Every node of the cluster'
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l dev -d 'Development mode: debug log, placeholder keys, loopback only; insecure'
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l disable-strict-config -d 'Let unknown configuration keys pass'
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l move -d 'Move rooms to other nodes now: their people reconnect there, as who they are'
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l stay -d 'Keep the process when it is empty, to bring it back with --cancel'
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l cancel -d 'Undo a drain: the node takes rooms again'
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l wait -d 'Wait until nobody is left, and show who holds it'
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l one-at-a-time -d 'The next node only when the one before is done and another takes rooms; waits'
complete -c lkops -n "__fish_lkops_using_subcommand drain" -s y -l yes -d 'Do not ask'
complete -c lkops -n "__fish_lkops_using_subcommand drain" -l dry-run -d 'Show what would be done, and stop'
complete -c lkops -n "__fish_lkops_using_subcommand drain" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand drain" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -l config -d 'Configuration file' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -l config-body -d 'Configuration as YAML text, in place of a file [env: LIVEKIT_CONFIG]' -r
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -l bind -d 'Address to listen on; may be given more than once' -r
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -l key-file -d 'File of API keys and secrets' -r
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -l keys -d 'API keys, as lines of `key: secret` [env: LIVEKIT_KEYS]' -r
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -l node-ip -d 'Address told to clients; found by itself when not given [env: NODE_IP]' -r
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -l udp-port -d 'UDP port, or range of ports, for media [env: UDP_PORT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -l redis-host -d 'Redis server [env: REDIS_HOST]' -r
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -l redis-password -d 'Password of the Redis server [env: REDIS_PASSWORD]' -r
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -l turn-cert -d 'Certificate of the TURN server [env: LIVEKIT_TURN_CERT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -l turn-key -d 'Key of that certificate [env: LIVEKIT_TURN_KEY]' -r
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -s o -l output -d 'Form of the output' -r -f -a "text\t''
json\t''"
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -l region -d 'Every node of this region' -r
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -l all -d 'Every node of the cluster'
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -l dev -d 'Development mode: debug log, placeholder keys, loopback only; insecure'
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -l disable-strict-config -d 'Let unknown configuration keys pass'
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand cordon" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -l config -d 'Configuration file' -r -F
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -l config-body -d 'Configuration as YAML text, in place of a file [env: LIVEKIT_CONFIG]' -r
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -l bind -d 'Address to listen on; may be given more than once' -r
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -l key-file -d 'File of API keys and secrets' -r
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -l keys -d 'API keys, as lines of `key: secret` [env: LIVEKIT_KEYS]' -r
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -l node-ip -d 'Address told to clients; found by itself when not given [env: NODE_IP]' -r
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -l udp-port -d 'UDP port, or range of ports, for media [env: UDP_PORT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -l redis-host -d 'Redis server [env: REDIS_HOST]' -r
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -l redis-password -d 'Password of the Redis server [env: REDIS_PASSWORD]' -r
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -l turn-cert -d 'Certificate of the TURN server [env: LIVEKIT_TURN_CERT]' -r
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -l turn-key -d 'Key of that certificate [env: LIVEKIT_TURN_KEY]' -r
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -s o -l output -d 'Form of the output' -r -f -a "text\t''
json\t''"
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -l region -d 'Every node of this region' -r
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -l all -d 'Every node of the cluster'
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -l dev -d 'Development mode: debug log, placeholder keys, loopback only; insecure'
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -l disable-strict-config -d 'Let unknown configuration keys pass'
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -s h -l help -d 'Print help'
complete -c lkops -n "__fish_lkops_using_subcommand uncordon" -s V -l version -d 'Print version'
complete -c lkops -n "__fish_lkops_using_subcommand help; and not __fish_seen_subcommand_from serve generate-keys ports create-join-token nodes region token load-test plan probe help-verbose docs drain cordon uncordon help" -f -a "serve" -d 'Run the media server'
complete -c lkops -n "__fish_lkops_using_subcommand help; and not __fish_seen_subcommand_from serve generate-keys ports create-join-token nodes region token load-test plan probe help-verbose docs drain cordon uncordon help" -f -a "generate-keys" -d 'Make an API key and its secret'
complete -c lkops -n "__fish_lkops_using_subcommand help; and not __fish_seen_subcommand_from serve generate-keys ports create-join-token nodes region token load-test plan probe help-verbose docs drain cordon uncordon help" -f -a "ports" -d 'Print the ports a configuration needs open'
complete -c lkops -n "__fish_lkops_using_subcommand help; and not __fish_seen_subcommand_from serve generate-keys ports create-join-token nodes region token load-test plan probe help-verbose docs drain cordon uncordon help" -f -a "create-join-token" -d 'Print a token to join a room, for development'
complete -c lkops -n "__fish_lkops_using_subcommand help; and not __fish_seen_subcommand_from serve generate-keys ports create-join-token nodes region token load-test plan probe help-verbose docs drain cordon uncordon help" -f -a "nodes" -d 'List the nodes of a cluster, their rooms and people'
complete -c lkops -n "__fish_lkops_using_subcommand help; and not __fish_seen_subcommand_from serve generate-keys ports create-join-token nodes region token load-test plan probe help-verbose docs drain cordon uncordon help" -f -a "region" -d 'Regions and their URLs'
complete -c lkops -n "__fish_lkops_using_subcommand help; and not __fish_seen_subcommand_from serve generate-keys ports create-join-token nodes region token load-test plan probe help-verbose docs drain cordon uncordon help" -f -a "token" -d 'Access tokens'
complete -c lkops -n "__fish_lkops_using_subcommand help; and not __fish_seen_subcommand_from serve generate-keys ports create-join-token nodes region token load-test plan probe help-verbose docs drain cordon uncordon help" -f -a "load-test" -d 'Fill rooms with synthetic participants and measure what they get'
complete -c lkops -n "__fish_lkops_using_subcommand help; and not __fish_seen_subcommand_from serve generate-keys ports create-join-token nodes region token load-test plan probe help-verbose docs drain cordon uncordon help" -f -a "plan" -d 'Say how many cores, gigabits and nodes a shape needs'
complete -c lkops -n "__fish_lkops_using_subcommand help; and not __fish_seen_subcommand_from serve generate-keys ports create-join-token nodes region token load-test plan probe help-verbose docs drain cordon uncordon help" -f -a "probe" -d 'Join a server as a stranger would and say which step fails, and why'
complete -c lkops -n "__fish_lkops_using_subcommand help; and not __fish_seen_subcommand_from serve generate-keys ports create-join-token nodes region token load-test plan probe help-verbose docs drain cordon uncordon help" -f -a "help-verbose" -d 'Print the help of serve with the flag of every configuration key'
complete -c lkops -n "__fish_lkops_using_subcommand help; and not __fish_seen_subcommand_from serve generate-keys ports create-join-token nodes region token load-test plan probe help-verbose docs drain cordon uncordon help" -f -a "docs" -d 'Man pages, shell completions and the sample configuration'
complete -c lkops -n "__fish_lkops_using_subcommand help; and not __fish_seen_subcommand_from serve generate-keys ports create-join-token nodes region token load-test plan probe help-verbose docs drain cordon uncordon help" -f -a "drain" -d 'Empty nodes: they take no new rooms and end when nobody is left'
complete -c lkops -n "__fish_lkops_using_subcommand help; and not __fish_seen_subcommand_from serve generate-keys ports create-join-token nodes region token load-test plan probe help-verbose docs drain cordon uncordon help" -f -a "cordon" -d 'Have nodes take no new rooms; theirs go on'
complete -c lkops -n "__fish_lkops_using_subcommand help; and not __fish_seen_subcommand_from serve generate-keys ports create-join-token nodes region token load-test plan probe help-verbose docs drain cordon uncordon help" -f -a "uncordon" -d 'Have cordoned nodes take new rooms again'
complete -c lkops -n "__fish_lkops_using_subcommand help; and not __fish_seen_subcommand_from serve generate-keys ports create-join-token nodes region token load-test plan probe help-verbose docs drain cordon uncordon help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c lkops -n "__fish_lkops_using_subcommand help; and __fish_seen_subcommand_from nodes" -f -a "inspect" -d 'Print everything a node tells of itself, and its rooms'
complete -c lkops -n "__fish_lkops_using_subcommand help; and __fish_seen_subcommand_from nodes" -f -a "rooms" -d 'List rooms, the fullest first'
complete -c lkops -n "__fish_lkops_using_subcommand help; and __fish_seen_subcommand_from nodes" -f -a "participants" -d 'List the people of a room or of a node'
complete -c lkops -n "__fish_lkops_using_subcommand help; and __fish_seen_subcommand_from region" -f -a "pick" -d 'Print the URL of the region nearest to a caller, from `lkops.regions`'
complete -c lkops -n "__fish_lkops_using_subcommand help; and __fish_seen_subcommand_from token" -f -a "create" -d 'Print an access token'
complete -c lkops -n "__fish_lkops_using_subcommand help; and __fish_seen_subcommand_from load-test" -f -a "find-capacity" -d 'Let the load grow until a --fail-if condition is met, and name what was in the way'
complete -c lkops -n "__fish_lkops_using_subcommand help; and __fish_seen_subcommand_from load-test" -f -a "calibrate" -d 'Measure what packets, bursts, people and tracks cost a server on this machine, for `lkops plan`'
complete -c lkops -n "__fish_lkops_using_subcommand help; and __fish_seen_subcommand_from load-test" -f -a "worker" -d 'Make a part of the load another process, on any machine, asks for over Redis'
complete -c lkops -n "__fish_lkops_using_subcommand help; and __fish_seen_subcommand_from docs" -f -a "man" -d 'Write a man page for every command'
complete -c lkops -n "__fish_lkops_using_subcommand help; and __fish_seen_subcommand_from docs" -f -a "completions" -d 'Write completions for bash, zsh and fish'
complete -c lkops -n "__fish_lkops_using_subcommand help; and __fish_seen_subcommand_from docs" -f -a "config" -d 'Print a livekit.yaml with every key, its meaning and its default'
