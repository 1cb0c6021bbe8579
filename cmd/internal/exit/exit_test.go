package exit

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
	"github.com/dunlin-io/dunlin/xdp"
)

func TestOf(t *testing.T) {
	_, badConfig := config.Load(config.Sources{FileName: "f", File: []byte("interfaze: x")})
	tests := []struct {
		name string
		err  error
		want Code
	}{
		{"nothing", nil, OK},
		{"something", errors.New("x"), Failure},
		{"configuration", badConfig, Usage},
		{"default route", xdp.ErrDefaultRoute, Usage},
		{"no capability", unix.EPERM, Denied},
		{"no access", &fs.PathError{Err: unix.EACCES}, Denied},
		{"wrong uid", control.Refuse(control.CodeDenied, "no"), Denied},
		{"attached already", control.Refuse(control.CodeBusy, "no"), Busy},
		{"iokernel failed", control.Refuse(control.CodeInternal, "no"), Failure},
		{"foreign program", &xdp.ForeignError{Interface: "x"}, Busy},
		{"held queue", &xdp.BusyError{Interface: "x"}, Busy},
		{"second iokernel", control.ErrRunning, Busy},
		{"port", unix.EADDRINUSE, Busy},
		{"no interface", unix.ENODEV, Absent},
		{"no socket", unix.ENOENT, Absent},
		{"killed", unix.ECONNREFUSED, Absent},
		{"gone", attach.ErrGone, Absent},
		{"evicted", fmt.Errorf("%w: %w", attach.ErrGone, &control.Evicted{Reason: "x"}), Absent},
		{"old kernel", ebpf.ErrNotSupported, Unsupported},
		{"said", As(Usage, unix.EPERM), Usage},
		{"another program", Status(130), 130},
		{"another program, well", Status(0), OK},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.err
			if got := Of(err); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
			if err == nil {
				return
			}
			err = errors.Join(fmt.Errorf("while doing: %w", err), errors.New("and closing failed too"))
			if got := Of(err); got != test.want {
				t.Errorf("wrapped: got %d, want %d", got, test.want)
			}
		})
	}
}

func TestAsKeepsTheError(t *testing.T) {
	if err := As(Busy, fs.ErrExist); !errors.Is(err, fs.ErrExist) || err.Error() != fs.ErrExist.Error() {
		t.Errorf("got %v", err)
	}
	if As(Busy, nil) != nil {
		t.Error("nil became an error")
	}
}

func TestReport(t *testing.T) {
	var out strings.Builder
	Report(&out, "x", nil)
	Report(&out, "x", Status(3)) // the other program has said why
	Report(&out, "dunlin", errors.Join(errors.New("one"), errors.New("dunlin: two")))
	if want := "dunlin: one\ndunlin: two\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
