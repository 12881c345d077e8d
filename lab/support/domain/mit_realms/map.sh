#!/bin/sh
# Samba asks by REALM\user; the Unix user has the name alone.
printf '%s\n' "${1##*\\}"
