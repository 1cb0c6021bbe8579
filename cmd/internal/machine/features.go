package machine

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNotAllowed says that this process may not find something out, though it may well be there.
var ErrNotAllowed = errors.New("this process may not ask")

// TransmitBudget opens an AF_XDP socket, without binding it to anything, and has the kernel accept
// so many descriptors per system call. Before Linux 6.17 it cannot, and the error is ENOPROTOOPT;
// without AF_XDP it is EAFNOSUPPORT; without CAP_NET_RAW, ErrNotAllowed.
func TransmitBudget(descriptors int) error {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EPERM) {
		return ErrNotAllowed
	}
	if err != nil {
		return fmt.Errorf("open an AF_XDP socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_XDP, unix.XDP_TX_RING, descriptors); err != nil {
		return fmt.Errorf("make a tx ring: %w", err)
	}
	return unix.SetsockoptInt(fd, unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, descriptors)
}

// Seals makes a memfd whose size is final, as shared memory is.
func Seals() error {
	fd, err := unix.MemfdCreate("dunlin-doctor", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return fmt.Errorf("make a memfd: %w", err)
	}
	defer unix.Close(fd)
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("seal a memfd: %w", err)
	}
	return nil
}

// JIT reports whether the kernel compiles BPF programs. A kernel that cannot do otherwise has no
// setting to read.
func JIT() (bool, error) {
	text, err := os.ReadFile("/proc/sys/net/core/bpf_jit_enable")
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if errors.Is(err, os.ErrPermission) {
		return false, ErrNotAllowed
	}
	return strings.TrimSpace(string(text)) != "0", err
}

// ClockSource is what the kernel reads the time from.
func ClockSource() (string, error) {
	text, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	return strings.TrimSpace(string(text)), err
}

// Scheduler is what the kernel's extensible scheduler class (sched_ext, from Linux 6.12 on) does:
// its state, and the name of the BPF scheduler that is loaded. Both are empty where there is none.
func Scheduler() (state, name string, err error) {
	text, err := os.ReadFile("/sys/kernel/sched_ext/state")
	if errors.Is(err, os.ErrNotExist) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	ops, _ := os.ReadFile("/sys/kernel/sched_ext/root/ops") // there only while one is loaded
	return strings.TrimSpace(string(text)), strings.TrimSpace(string(ops)), nil
}

// Isolated is the list of CPUs that the kernel's scheduler leaves alone, as in isolcpus=; empty if
// there is none.
func Isolated() (string, error) {
	text, err := os.ReadFile("/sys/devices/system/cpu/isolated")
	return strings.TrimSpace(string(text)), err
}
