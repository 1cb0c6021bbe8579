package lab

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// request is struct ifreq with a pointer in its union, as SIOCETHTOOL takes it.
type request struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte // the rest of the union
}

// ethtoolValue is struct ethtool_value.
type ethtoolValue struct{ command, value uint32 }

// setTxChecksum switches the transmit checksum offload of an interface in the calling thread's
// namespace. What depends on it (segmentation) is switched off by the kernel along with it.
func setTxChecksum(name string, on bool) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	v := ethtoolValue{command: unix.ETHTOOL_STXCSUM}
	if on {
		v.value = 1
	}
	r := request{data: unsafe.Pointer(&v)}
	copy(r.name[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL,
		uintptr(unsafe.Pointer(&r)))
	if errno != 0 {
		return fmt.Errorf("switch transmit checksums of %s: %w", name, errno)
	}
	return nil
}
