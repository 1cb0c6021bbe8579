package xdp

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// txMetadataBytes is the size of struct xsk_tx_metadata that we ask for when probing: what every
// kernel with the feature knows (flags, checksum offsets; a completion's time stamp shares them).
const txMetadataBytes = 16

// registerMemory makes m the socket's frame memory. The kernel pins its pages; an unmap alone does
// not free them.
func registerMemory(fd int, m []byte, chunk, headroom, metadata int) error {
	r := unix.XDPUmemReg{
		Addr:     uint64(uintptr(unsafe.Pointer(unsafe.SliceData(m)))),
		Len:      uint64(len(m)),
		Size:     uint32(chunk),
		Headroom: uint32(headroom),
	}
	if page := uint64(unix.Getpagesize()); len(m) == 0 || r.Addr%page != 0 || r.Len%page != 0 {
		return fmt.Errorf("memory of %d bytes at %#x is not made of whole pages of %d", r.Len,
			r.Addr, page)
	}
	if metadata > 0 {
		r.Flags, r.Tx_metadata_len = unix.XDP_UMEM_TX_METADATA_LEN, uint32(metadata)
	}
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, unix.XDP_UMEM_REG,
		uintptr(unsafe.Pointer(&r)), unsafe.Sizeof(r), 0)
	switch errno {
	case 0:
		return nil
	case unix.ENOBUFS:
		return fmt.Errorf("%w: %d bytes are more than RLIMIT_MEMLOCK leaves to lock; raise it "+
			"or grant CAP_IPC_LOCK", errno, len(m))
	}
	return errno
}

// request is struct ifreq with a pointer in its union, as SIOCETHTOOL takes it.
type request struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte // the rest of the union
}

// ethtool has the driver of the named interface answer the command in v's first word, in v.
func ethtool[T any](name string, v *T) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r := request{data: unsafe.Pointer(v)}
	copy(r.name[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL,
		uintptr(unsafe.Pointer(&r)))
	if errno != 0 {
		return errno
	}
	return nil
}

// driver is the name of the interface's driver.
func driver(name string) (string, error) {
	v := unix.EthtoolDrvinfo{Cmd: unix.ETHTOOL_GDRVINFO}
	err := ethtool(name, &v)
	return unix.ByteSliceToString(v.Driver[:]), err
}

// channels is how many queues the interface receives on: struct ethtool_channels.
func channels(name string) (int, error) {
	var v struct {
		Command                             uint32
		MaxRx, MaxTx, MaxOther, MaxCombined uint32
		Rx, Tx, Other, Combined             uint32
	}
	v.Command = unix.ETHTOOL_GCHANNELS
	err := ethtool(name, &v)
	return int(v.Rx + v.Combined), err
}
