package daemon

import (
	"context"

	"github.com/dunlin-io/dunlin/iokernel/control"
)

// Threads takes notice of the threads of a runtime's workers.
func (h handler) Threads(_ context.Context, s *control.Session, ids []int) error {
	return control.Refuse(control.CodeDenied, "no cores are lent")
}

// Cores says who has which core.
func (h handler) Cores(_ context.Context, decisions int) (control.Cores, error) {
	return control.Cores{}, control.Refuse(control.CodeDenied, "no cores are lent: name CPUs "+
		"in cores.lend of the iokernel's configuration")
}
