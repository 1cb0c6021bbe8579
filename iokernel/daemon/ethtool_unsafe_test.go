package daemon

import (
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of include/uapi/linux/ethtool.h.
const (
	statStrings     = 1  // ETH_SS_STATS
	statStringBytes = 32 // ETH_GSTRING_LEN
)

// ethtool does one ethtool command on an interface of the calling thread's namespace. The command's
// structure lies in data, which is large enough for the answer.
func ethtool(name string, data []uint32) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request := struct { // ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&data[0])}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL,
		uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return fmt.Errorf("ethtool command %#x on %s: %w", data[0], name, errno)
	}
	return nil
}

// driverStatistics are the counters of an interface's driver, by the driver's names.
func driverStatistics(name string) (map[string]uint64, error) {
	// ethtool_sset_info: command, reserved, mask of sets as u64, count of each.
	count := []uint32{unix.ETHTOOL_GSSET_INFO, 0, 1 << statStrings, 0, 0}
	if err := ethtool(name, count); err != nil {
		return nil, err
	}
	n := count[4]
	// ethtool_gstrings: command, set, count, strings.
	names := make([]uint32, 3+n*statStringBytes/4)
	names[0], names[1], names[2] = unix.ETHTOOL_GSTRINGS, statStrings, n
	if err := ethtool(name, names); err != nil {
		return nil, err
	}
	// ethtool_stats: command, count, values as u64.
	values := make([]uint32, 2+n*2)
	values[0], values[1] = unix.ETHTOOL_GSTATS, n
	if err := ethtool(name, values); err != nil {
		return nil, err
	}
	all := unsafe.Slice((*byte)(unsafe.Pointer(&names[3])), n*statStringBytes)
	statistics := make(map[string]uint64, n)
	for i := range n {
		text := string(all[i*statStringBytes : (i+1)*statStringBytes])
		text, _, _ = strings.Cut(text, "\x00")
		statistics[text] = uint64(values[2+2*i]) | uint64(values[3+2*i])<<32
	}
	return statistics, nil
}
