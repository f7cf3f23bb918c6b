#!/bin/sh
# The entry point of an image for Complement: it names the server in SERVER_NAME and wants plain HTTP on 8008 and TLS on
# 8448, with a certificate that its own authority signs. It is started several times on the same files, so everything that
# is there already is kept. Where the image holds PostgreSQL, the server runs on a cluster of its own, else on SQLite.
set -eu

data=/data
mkdir -p "$data"
cd "$data"

if [ ! -e tls.crt ]; then
    openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out tls.key
    openssl req -new -key tls.key -subj "/CN=$SERVER_NAME" -out tls.csr
    printf 'subjectAltName=DNS:%s\n' "$SERVER_NAME" >tls.ext
    openssl x509 -req -in tls.csr -CA /complement/ca/ca.crt -CAkey /complement/ca/ca.key -CAcreateserial \
        -days 30 -extfile tls.ext -out tls.crt
    cat /complement/ca/ca.crt >>tls.crt
fi
printf complement >shared-secret
chmod 600 shared-secret tls.key

url=sqlite://$data/homeserver.db
initdb=$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null || true)
if [ -n "$initdb" ]; then
    mkdir -p postgresql
    chown postgres postgresql
    as_postgres="setpriv --reuid=postgres --regid=postgres --clear-groups"
    [ -e postgresql/data ] || $as_postgres "$initdb" -D "$data/postgresql/data" -U matrix -A trust -E UTF8 --locale=C >/dev/null
    # A container that was killed leaves the file of a process that is gone.
    rm -f postgresql/data/postmaster.pid
    $as_postgres "${initdb%initdb}pg_ctl" -D "$data/postgresql/data" -w -l "$data/postgresql/log" \
        -o "-k $data/postgresql -c listen_addresses= -c max_connections=50" start
    url="postgresql:///postgres?host=$data/postgresql&user=matrix"
fi

cat >homeserver.toml <<END
server_name = "$SERVER_NAME"
report_stats = false
state_directory = "$data"

[[listeners]]
bind = ["0.0.0.0:8008"]
resources = ["client", "federation"]

[[listeners]]
bind = ["0.0.0.0:8448"]
resources = ["client", "federation"]
tls = { certificate = "$data/tls.crt", private_key = "$data/tls.key" }

[database]
url = "$url"

[registration]
enabled = true
without_verification = true
shared_secret_file = "shared-secret"

[rooms]
default_version = "10"
publishing = true
directory_without_login = true

[user_directory]
search_all_users = false

[rate_limits]
enabled = false

[log]
level = "info"
END

exec /usr/local/bin/matrix-homeserver serve --config "$data/homeserver.toml"
