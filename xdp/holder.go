package xdp

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Holder is a process that holds a socket of a queue.
type Holder struct {
	PID     int
	Command string
	Certain bool // it was asked; otherwise it has some AF_XDP socket, and may not be asked
}

// A BusyError says that a queue is bound by a socket outside this Interface.
type BusyError struct {
	Interface string
	Queue     int
	Holders   []Holder // that this process can see
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("xdp: %s queue %d: held by %s", e.Interface, e.Queue, describe(e.Holders))
}

// Is makes the error match EBUSY.
func (e *BusyError) Is(target error) bool { return target == error(unix.EBUSY) }

func describe(holders []Holder) string {
	if len(holders) == 0 {
		return "a process that is not visible from here"
	}
	names := make([]string, len(holders))
	for i, h := range holders {
		names[i] = fmt.Sprintf("process %d (%s)", h.PID, h.Command)
		if !h.Certain {
			names[i] += ", perhaps"
		}
	}
	return strings.Join(names, ", ")
}

// maxHolders bounds the search: enough to know whom to ask. (guess)
const maxHolders = 8

// holders finds the processes that hold a socket bound to the queue. If there are certain ones, the
// others are left out.
func holders(index, queue int) []Holder {
	var certain, perhaps []Holder
	files, err := filepath.Glob("/proc/[0-9]*/fd/[0-9]*")
	if err != nil {
		return nil
	}
	seen := make(map[int]bool)
	for _, file := range files {
		pid, fd, ok := split(file)
		if !ok || seen[pid] || !isXDP(file) {
			continue
		}
		is, known := boundTo(pid, fd, index, queue)
		h := Holder{PID: pid, Command: command(pid), Certain: known}
		switch {
		case is && known:
			certain, seen[pid] = append(certain, h), true
		case !known:
			perhaps, seen[pid] = append(perhaps, h), true
		}
		if len(certain) == maxHolders || len(perhaps) == maxHolders {
			break
		}
	}
	if len(certain) > 0 {
		return certain
	}
	return perhaps
}

// split takes /proc/PID/fd/FD apart.
func split(file string) (pid, fd int, ok bool) {
	parts := strings.Split(file, "/")
	if len(parts) != 5 {
		return 0, 0, false
	}
	pid, perr := strconv.Atoi(parts[2])
	fd, ferr := strconv.Atoi(parts[4])
	return pid, fd, perr == nil && ferr == nil
}

// isXDP reports whether an entry of /proc/PID/fd is an AF_XDP socket: sockets carry the name of
// their protocol as an attribute.
func isXDP(file string) bool {
	var name [16]byte
	n, err := unix.Getxattr(file, "system.sockprotoname", name[:])
	return err == nil && unix.ByteSliceToString(name[:n]) == "XDP"
}

// boundTo reports whether a process's AF_XDP socket is bound to the queue, and whether that could
// be found out. The kernel tells nobody what an AF_XDP socket is bound to (but for a diagnosis
// module that few kernels have). It lets a socket without fill and completion rings join another
// one's memory on the very same queue, and on no other: so we try to join with a copy of the
// descriptor, and leave at once. The socket asked about notices nothing.
func boundTo(pid, fd, index, queue int) (is, known bool) {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false, false
	}
	defer unix.Close(process)
	theirs, err := unix.PidfdGetfd(process, fd, 0)
	if err != nil {
		return false, false
	}
	defer unix.Close(theirs)
	ours, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, false
	}
	defer unix.Close(ours)
	const entries = 2 // the fewest; nobody will use them
	if err := unix.SetsockoptInt(ours, unix.SOL_XDP, unix.XDP_RX_RING, entries); err != nil {
		return false, false
	}
	return unix.Bind(ours, &unix.SockaddrXDP{
		Flags:        unix.XDP_SHARED_UMEM,
		Ifindex:      uint32(index),
		QueueID:      uint32(queue),
		SharedUmemFD: uint32(theirs),
	}) == nil, true
}

func command(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return "gone"
	}
	return strings.TrimSpace(string(b))
}
