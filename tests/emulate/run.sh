#!/bin/bash
# Runs static x86-64 Linux programs on an emulated CPU. See usage below and docs/testing.md.
set -euo pipefail

usage() {
  cat <<'END'
Usage: run.sh [OPTION]... -- [VAR=VALUE]... PROGRAM [ARG]... [-- [VAR=VALUE]... PROGRAM [ARG]...]...
Boots Linux in Bochs, runs each static PROGRAM as the guest's only process, prints what they print (stdout and stderr).

  --model CPU     a CPU model of Bochs (default tigerlake); `bochs --help cpu` lists them
  --timeout SEC   give up after so many seconds of real time (default 600)
  --hide N[,N]    CPU features, by Linux' numbers, whose register state the guest's kernel shall not enable; CPUID still
                  reports them: 154 xsave (no AVX), 304 avx512f (no AVX-512)
  --append TEXT   more words for the guest kernel's command line
  --dir DIR       where the kernel image and temporary files go (default build/emulate)
  --files FOLDER  its content is the guest's /files
  --prepare       only make the kernel image and the guest's first process; needs no PROGRAM
  --help          this text

Exit code: that of the first PROGRAM that failed, else 0; 124 timed out; 125 the emulation failed;
with --prepare: 0, or 4 if emulation is not possible here (the reason stands on stderr).
END
}

here=$(cd "$(dirname "$0")" && pwd)
model=tigerlake limit=600 append= hide= dir=build/emulate files= prepare=
fail() { echo "run.sh: $*" >&2; exit 125; }
while [ $# -gt 0 ]; do
  case $1 in
  --model) model=$2; shift 2 ;;
  --timeout) limit=$2; shift 2 ;;
  --hide) hide=,$2; shift 2 ;;
  --append) append=$2; shift 2 ;;
  --dir) dir=$2; shift 2 ;;
  --files) files=$2; shift 2 ;;
  --prepare) prepare=1; shift ;;
  --help) usage; exit 0 ;;
  --) break ;;
  *) usage >&2; exit 2 ;;
  esac
done

bochs=$(command -v bochs-bin || command -v bochs || true)
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

if [ -n "$prepare" ]; then
  [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || { echo "run.sh: x86-64 Linux only" >&2; exit 4; }
  [ -n "$bochs" ] || { echo "run.sh: bochs is not installed (tools/deps.sh emulate)" >&2; exit 4; }
  for tool in gcc ld cpio lz4 flock; do
    command -v $tool > /dev/null || { echo "run.sh: $tool is not installed (tools/deps.sh emulate)" >&2; exit 4; }
  done
  exec 9> "$dir/lock"
  flock 9
  [ "$dir/init" -nt "$here/init.c" ] || gcc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -static -s -o "$dir/init" "$here/init.c"
  [ -s "$dir/vmlinux.img" ] || "$here/kernel.sh" "$dir/vmlinux.img"
  exit 0
fi
[ $# -gt 1 ] || { usage >&2; exit 2; }
[ -n "$bochs" ] && [ -s "$dir/vmlinux.img" ] && [ -x "$dir/init" ] ||
  fail "not prepared: run $0 --prepare --dir $dir"

work=$(mktemp -d "$dir/run.XXXXXX")
emulator=
trap '[ -z "$emulator" ] || kill "$emulator" 2> /dev/null || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# The guest's files: its first process, the programs, and the commands that init.c reads.
mkdir -p "$work"/root/{dev,proc,sys,tmp}
cp "$dir/init" "$work/root/init"
[ -z "$files" ] || cp -RL "$files" "$work/root/files"
: > "$work/root/commands"
programs=()
while [ $# -gt 0 ]; do
  shift # --
  while [[ ${1-} = *=* ]]; do
    printf '%s\0' "$1" >> "$work/root/commands"
    shift
  done
  [ $# -gt 0 ] && [ -f "$1" ] || fail "no program '${1-}'"
  name=$(basename "$1")
  cp "$1" "$work/root/$name"
  programs+=("$name")
  printf '/%s\0' "$name" >> "$work/root/commands"
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    printf '%s\0' "$1" >> "$work/root/commands"
    shift
  done
  printf '\0' >> "$work/root/commands"
done
(cd "$work/root" && find . | cpio --quiet -o -H newc -R 0:0) > "$work/initrd"

# Words without which Linux 6.1 does not run well in Bochs 2.7:
#   clearcpuid=  580 fsrm: Bochs reports it, but not erms, and Linux' memmove then takes a path that is wrong for it;
#                515 pku, 321 xsavec, 323 xsaves: Bochs reports wrong save areas for them, and Linux would turn AVX off.
#   acpi=off pci=off: there is no firmware to describe them.   initcall_blacklist, no watchdog, no self tests: a faster boot.
#   tsc: Bochs' clock counts instructions; calibrating it against the other timers takes long and may fail.
printf '%s' "console=ttyS0,115200 loglevel=1 panic=-1 reboot=k acpi=off pci=off mitigations=off random.trust_cpu=on \
clearcpuid=580,515,321,323$hide tsc_early_khz=50000 tsc=reliable nowatchdog cryptomgr.notests=1 lsm= \
rcupdate.rcu_expedited=1 initcall_blacklist=trace_eval_init,init_kprobe_trace,cubictcp_register,i8042_init,\
init_evm,load_system_certificate_list,cmos_init \
$append" > "$work/cmdline"

sectors() { echo $((($(stat -c %s "$1") + 511) / 512)); }
ram_mib=512 kernel_sectors=$(sectors "$dir/vmlinux.img") initrd_sectors=$(sectors "$work/initrd")
cylinders=$(((kernel_sectors + initrd_sectors) / (16 * 63) + 1))
cp --sparse=always "$dir/vmlinux.img" "$work/disk"
truncate -s $((kernel_sectors * 512)) "$work/disk"
cat "$work/initrd" >> "$work/disk"
truncate -s $((cylinders * 16 * 63 * 512)) "$work/disk"
gcc -c -x assembler-with-cpp -Wa,-I"$work" -DKERNEL_SECTORS=$kernel_sectors -DINITRD_SECTORS=$initrd_sectors \
  -DINITRD_BYTES="$(stat -c %s "$work/initrd")" -DRAM_BYTES=$((ram_mib << 20)) -o "$work/boot.o" "$here/boot.S"
ld -Ttext 0 --oformat binary -o "$work/rom" "$work/boot.o"
truncate -s 512 "$work/no-vga-bios"

# rfb is the one display that needs neither a terminal nor X; timeout=0: do not wait for a viewer. The speaker plugin would
# open a sound device and hang without one.
cat > "$work/bochsrc" <<END
config_interface: textconfig
display_library: rfb, options="timeout=0"
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, parallel=0, serial=1, iodebug=0
memory: guest=$ram_mib, host=$ram_mib
romimage: file="$work/rom"
vgaromimage: file="$work/no-vga-bios"
cpu: model=$model, count=1, ips=50000000, reset_on_triple_fault=1, ignore_bad_msrs=1
clock: sync=none, time0=utc
boot: disk
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, mode=flat, path="$work/disk", cylinders=$cylinders, heads=16, spt=63
ata1: enabled=0
com1: enabled=1, mode=file, dev="$work/serial"
port_e9_hack: enabled=1
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
log: $work/log
END
echo c > "$work/debugger" # Debian's Bochs is built with its debugger, which waits for a command
mkfifo "$work/console"
inside= codes= status=
boot() {
  (cd "$work" && exec timeout -k 5 "$limit" "$bochs" -q -f bochsrc -rc debugger > console 2> errors < /dev/null) &
  emulator=$!
  while IFS= read -r line; do # (mawk would hold lines back)
    case $line in
    $'\1 begin') inside=1 ;;
    $'\1 exit '*) [ -z "$inside" ] || codes+=" ${line##* }" ;;
    $'\1 end') [ -z "$inside" ] || inside=ended ;;
    *) [ "$inside" != 1 ] || printf '%s\n' "$line" ;;
    esac
  done < "$work/console"
  status=0
  wait "$emulator" 2> /dev/null || status=$?
  emulator=
}
# Of two Bochs that start in the same instant one may find no port for its display, as it looks for no other after the
# other one took its own between bind() and listen(); its guest did not start then, and does a little later.
for ((attempt = 1; attempt <= 10; attempt++)); do
  boot
  [ -z "$inside" ] && grep -qs 'RFB could not bind any port' "$work/errors" "$work/log" || break
  sleep "0.$((RANDOM % 10))"
done
if [ "$inside" = ended ]; then
  n=0 result=0
  for code in $codes; do
    [ "$code" -le 128 ] || echo "run.sh: ${programs[$n]} died of signal SIG$(kill -l $((code - 128)))" >&2
    [ $result != 0 ] || result=$code
    n=$((n + 1))
  done
  exit $result
fi
cd "$work"
{ tail -n 20 serial || true; grep -ahE 'PANIC|wrong value|exception' errors log | tail -n 5 || true; } >&2 2> /dev/null
[ $status != 124 ] || { echo "run.sh: no result after $limit s on $model" >&2; exit 124; }
fail "the emulation of $model ended without a result (Bochs: $status)"
