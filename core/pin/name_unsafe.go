package pin

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setThreadName names the calling thread, for ps -L and top -H.
func setThreadName(name string) error {
	if name == "" {
		return nil
	}
	b, err := unix.BytePtrFromString(name)
	if err != nil {
		return fmt.Errorf("pin: thread name %q: %w", name, err)
	}
	if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(b)), 0, 0, 0); err != nil {
		return fmt.Errorf("pin: thread name %q: %w", name, err)
	}
	return nil
}
