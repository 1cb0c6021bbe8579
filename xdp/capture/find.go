package capture

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// attached finds the program at the XDP hook of an interface of this thread's network namespace.
func attached(name string) (ebpf.ProgramID, error) {
	link, err := netlink.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return 0, unix.ENODEV
	}
	if err != nil {
		return 0, err
	}
	xdp := link.Attrs().Xdp
	if xdp == nil || !xdp.Attached {
		return 0, ErrNoProgram
	}
	return ebpf.ProgramID(xdp.ProgId), nil
}

func open(id ebpf.ProgramID) (*ebpf.Program, error) {
	program, err := ebpf.NewProgramFromID(id)
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("open XDP program %d: %w (needs CAP_SYS_ADMIN)", id, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open XDP program %d: %w", id, err)
	}
	return program, nil
}
