#!/bin/sh
# Starts the program of the package for this platform. It takes this shell's place, so signals and the exit status are its
# own. Found beside this package (npm, pnpm, yarn) or in a folder below it.
package=$(dirname "$(dirname "$(readlink -f "$0")")")
case $(uname -m) in
x86_64 | amd64) cpu=x64 ;;
aarch64 | arm64) cpu=arm64 ;;
*) cpu=$(uname -m) ;;
esac
for folder in "$package/node_modules" "${package%/*}"; do
  program=$folder/kafkaesk-cli-linux-$cpu/bin/kafkaesk-cli
  [ -x "$program" ] && exec "$program" "$@"
done
echo "error: the package kafkaesk-cli-linux-$cpu is not installed. There are packages for Linux with glibc; \
install kafkaesk-cli again without --no-optional, or build the program: cargo install --locked kafkaesk-cli" >&2
exit 1
