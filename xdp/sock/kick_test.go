package sock

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/dataplane"
)

func TestOutcome(t *testing.T) {
	for errno, want := range map[unix.Errno]dataplane.Kick{
		unix.EAGAIN:   dataplane.KickAgain,
		unix.EBUSY:    dataplane.KickBlocked,
		unix.ENOBUFS:  dataplane.KickBlocked,
		unix.ENOMEM:   dataplane.KickBlocked,
		unix.ENETDOWN: dataplane.KickDown,
		unix.ENXIO:    dataplane.KickDown,
		unix.EBADF:    dataplane.KickDown,
		unix.ENOTSOCK: dataplane.KickDown,
	} {
		if got := outcome(errno); got != want {
			t.Errorf("%v: %d, want %d", errno, got, want)
		}
	}
}
