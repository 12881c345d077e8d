#!/bin/bash
# Three MIT realms served by one krb5kdc, DNS for them, and Samba file servers that take their tickets: one whose clock
# is right, and at port 1445 one whose clock is ten minutes ahead. Everything lies in the container and goes with it.
set -euo pipefail
here=/mit
address=$(hostname -i | cut -d' ' -f1)
export KRB5_CONFIG=$here/krb5.conf KRB5_KDC_PROFILE=$here/kdc.conf
kadmin() { kadmin.local -r "$1" -q "$2" >/dev/null; }

mkdir -p /srv/src /srv/dst
chmod 0777 /srv/src /srv/dst
for realm in MIT.EXAMPLE.COM PARTNER.EXAMPLE.NET REMOTE.EXAMPLE.ORG; do
  mkdir -p "$here/$realm"
  kdb5_util -r "$realm" create -s -P "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" >/dev/null
  kadmin "$realm" "addprinc -randkey -e aes256-cts-hmac-sha1-96:normal cifs/files.${realm,,}"
  kadmin "$realm" "ktadd -k $here/server.keytab -norandkey cifs/files.${realm,,}"
done
trust() { # trust A B: users of A may use services of B
  local shared
  shared=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
  kadmin "$1" "addprinc -pw $shared krbtgt/$2@$1"
  kadmin "$2" "addprinc -pw $shared krbtgt/$2@$1"
}
trust MIT.EXAMPLE.COM PARTNER.EXAMPLE.NET
trust PARTNER.EXAMPLE.NET REMOTE.EXAMPLE.ORG

krb5kdc -r MIT.EXAMPLE.COM -r PARTNER.EXAMPLE.NET -r REMOTE.EXAMPLE.ORG
# Every other server's address is the same, so that its reverse record names the first one: a warning at locations.
dnsmasq --user=root --no-resolv --no-hosts --no-daemon --bind-interfaces --listen-address="$address" \
  --local=/example.com/example.net/example.org/ --host-record="files.mit.example.com,$address" \
  --address="/kdc.mit.example.com/files.partner.example.net/files.remote.example.org/alias.example.org/$address" \
  --address="/dead.example.org/${address%.*}.126" --address="/here.example.org/127.0.0.1" \
  --srv-host=_kerberos._tcp.MIT.EXAMPLE.COM,kdc.mit.example.com,88,10,1 \
  --srv-host=_kerberos._tcp.PARTNER.EXAMPLE.NET,kdc.mit.example.com,88,10,1 &
server() { # server NAME [COMMAND...]: one more smbd, perhaps by a command that gives it another clock
  local place=$here/$1
  mkdir -p "$place"/{lock,state,cache,pid,private}
  KRB5_CONFIG=$here/krb5.conf:$here/capaths.conf "${@:2}" smbd --foreground --no-process-group --debug-stdout --configfile="$here/$1.conf" &
}
server right
server ahead faketime -f +10m
for port in 88 445 1445; do
  until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done
done
touch $here/ready
wait
