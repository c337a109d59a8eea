# Measures the folder $1, and prints how long what took, or what fio says of it.
# The folder beside it, "many", holds files by the hundred thousand.
set -e
many=$(dirname "$1")/many
seconds=$2
mkdir "$1"
cd "$1"

timed() {
	name=$1
	shift
	from=$(date +%s.%N)
	"$@" >/tmp/out 2>&1 || { echo "failed $name: $(tail -n 3 /tmp/out)"; exit 1; }
	echo "took $name $from $(date +%s.%N)"
}

# cold has nothing in the guest's caches.
cold() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

disk() {
	name=$1
	shift
	cold
	line=$(/bench/fio --name=job --thread --filename=data --size=64m --ioengine=psync --direct=1 \
		--time_based --runtime="$seconds" --output-format=terse --terse-version=3 "$@" 2>/tmp/out | grep '^3;') || {
		echo "failed $name: $(tail -n 3 /tmp/out)"; exit 1
	}
	echo "fio $name $line"
}

/bench/fio --name=lay --thread --filename=data --size=64m --bs=1m --rw=write --ioengine=psync --output=/tmp/out
disk write-1M --rw=write --bs=1m
disk read-1M --rw=read --bs=1m
disk random-read-4k --rw=randread --bs=4k
disk random-write-4k --rw=randwrite --bs=4k
disk random-write-4k-fsync --rw=randwrite --bs=4k --fsync=1
rm data

mkdir tree
timed untar busybox tar -xf /bench/tree.tar -C tree
cold
timed find-tree find tree -type f -size -1000k
cd tree
git init -q .
git config user.email bench@example.org
git config user.name bench
timed git-add git add -A
git commit -q -m all
cold
timed git-status git status --porcelain
cd ..
# As npm: packages are unpacked beside, moved into their place, and their programs linked to.
mkdir -p staging node_modules/.bin
npm() {
	busybox tar -xf /bench/tree.tar -C staging
	mv staging/* node_modules
	for bin in 1 2 3 4 5 6 7 8 9; do ln -s "../dir-$bin/file-1" "node_modules/.bin/bin-$bin"; done
}
timed npm-install npm
timed remove rm -rf tree node_modules
cold
timed find-many find "$many" -type f -size -1000k
wc -l </tmp/out
