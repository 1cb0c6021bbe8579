package mem

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Numbers of linux/userfaultfd.h and linux/fs.h, which golang.org/x/sys/unix does not have.
const (
	uffdUserModeOnly = 1    // flag of userfaultfd(2): no privilege needed (Linux 5.11)
	uffdVersion      = 0xAA // of the API

	uffdFeatureWPAsync = 1 << 15 // the kernel resolves write faults itself (Linux 6.7)
	uffdFeatureMove    = 1 << 16 // UFFDIO_MOVE (Linux 6.8)

	uffdRegisterWP     = 2      // mode of a registration: write protection
	uffdMoveAllowHoles = 1 << 1 // mode of a move: unpopulated pages stay so

	ioctlUffdAPI          = 0xc018aa3f
	ioctlUffdRegister     = 0xc020aa00
	ioctlUffdMove         = 0xc028aa05
	ioctlUffdWriteProtect = 0xc018aa06
	ioctlPagemapScan      = 0xc0606610

	scanWPMatching   = 1 // arm what is reported
	scanCheckWPAsync = 2 // refuse ranges that are not registered, instead of reporting nothing

	pageWritten = 2
	pagePresent = 8
	pageSwapped = 16
)

// These have the layout of the kernel's structures.
type (
	uffdAPI      struct{ api, features, ioctls uint64 }
	uffdRegister struct{ start, bytes, mode, ioctls uint64 }
	uffdProtect  struct{ start, bytes, mode uint64 }
	uffdMove     struct {
		dst, src, bytes, mode uint64
		moved                 int64
	}
	pageRegion struct{ start, end, _ uint64 } // the last: its categories
	scanArg    struct {
		size, flags, start, end, walkEnd uint64
		regions                          *pageRegion // a pointer: what it points to may be moved
		count, maxPages                  uint64
		inverted, mask, anyOf, returned  uint64
	}
)

// The size is part of an ioctl's number: a structure that is laid out otherwise would be refused.
var (
	_ [24]byte = [unsafe.Sizeof(uffdAPI{})]byte{}
	_ [32]byte = [unsafe.Sizeof(uffdRegister{})]byte{}
	_ [24]byte = [unsafe.Sizeof(uffdProtect{})]byte{}
	_ [40]byte = [unsafe.Sizeof(uffdMove{})]byte{}
	_ [24]byte = [unsafe.Sizeof(pageRegion{})]byte{}
	_ [96]byte = [unsafe.Sizeof(scanArg{})]byte{}
)

// openUserfault makes a userfaultfd that answers write faults of this process's own code, and the
// kernel's on its behalf, without a handler.
func openUserfault() (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD,
		uffdUserModeOnly|unix.O_CLOEXEC|unix.O_NONBLOCK, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// startUserfault asks for asynchronous write protection, which one fd can be asked for once, and
// returns the features that the kernel has.
func startUserfault(fd int) (features uint64, err error) {
	arg := uffdAPI{api: uffdVersion, features: uffdFeatureWPAsync}
	if errno := ioctl(fd, ioctlUffdAPI, unsafe.Pointer(&arg)); errno != 0 {
		return 0, errno
	}
	return arg.features, nil
}

// registerWP lets fd answer the write faults of a range.
func registerWP(fd int, b []byte) error {
	arg := uffdRegister{start: address(b), bytes: uint64(len(b)), mode: uffdRegisterWP}
	return result(ioctl(fd, ioctlUffdRegister, unsafe.Pointer(&arg)))
}

// disarm takes the write protection off a range, so that writing there costs no fault.
func disarm(fd int, b []byte) error {
	arg := uffdProtect{start: address(b), bytes: uint64(len(b))}
	return result(ioctl(fd, ioctlUffdWriteProtect, unsafe.Pointer(&arg)))
}

// movePages moves the pages of src to dst, where none may be, and says how many bytes it got
// through.
func movePages(fd int, dst, src []byte) (bytes int, err error) {
	arg := uffdMove{
		dst: address(dst), src: address(src), bytes: uint64(len(src)), mode: uffdMoveAllowHoles,
	}
	errno := ioctl(fd, ioctlUffdMove, unsafe.Pointer(&arg))
	return max(0, int(arg.moved)), result(errno)
}

// scanPages fills regions with the ranges of b whose pages are there and have all categories of
// mask, arms them, and says how many it found and how far it came, as an offset in b. The kernel
// calls pages that are not there written, unless they were armed.
func scanPages(pagemap int, b []byte, mask uint64, regions []pageRegion) (
	n, done int, err error,
) {
	start := address(b)
	arg := scanArg{
		size:    uint64(unsafe.Sizeof(scanArg{})),
		flags:   scanWPMatching | scanCheckWPAsync,
		start:   start,
		end:     start + uint64(len(b)),
		regions: &regions[0],
		count:   uint64(len(regions)),
		mask:    mask,
		anyOf:   pagePresent | pageSwapped,
	}
	found, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(pagemap), ioctlPagemapScan,
		uintptr(unsafe.Pointer(&arg)))
	if errno != 0 {
		return 0, 0, errno
	}
	return int(found), int(arg.walkEnd - start), nil
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
	return errno
}

// result is errno as an error that is nil for 0.
func result(errno unix.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

func address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }
