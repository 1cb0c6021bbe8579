package pin

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// KeepOff moves the threads of this process off the given CPUs, where only loops are to run: on a
// CPU that others use too, Go's scheduler and collector are what the slowest requests show. Loops
// that run on those CPUs are left alone, and so is everything if there is no other CPU. Threads
// that Go starts later inherit it. restore gives the threads that there are then the CPUs back.
func KeepOff(cpus []int) (restore func(), err error) {
	all, err := Allowed()
	if err != nil {
		return nil, err
	}
	others := all
	for _, cpu := range cpus {
		others.set.Clear(cpu)
	}
	if others.Count() == 0 || others == all {
		return func() {}, nil
	}
	if err := moveThreads(&all, &others); err != nil {
		return nil, err
	}
	return func() { _ = moveThreads(&others, &all) }, nil // a thread too few is no harm
}

// moveThreads gives all threads whose CPUs are from the CPUs to.
func moveThreads(from, to *CPUs) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("pin: list this process's threads: %w", err)
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}
		var has CPUs
		err = unix.SchedGetaffinity(id, &has.set)
		if err == nil && has == *from {
			err = unix.SchedSetaffinity(id, &to.set)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) { // it has ended since
			return fmt.Errorf("pin: move thread %d to CPUs %v: %w", id, *to, err)
		}
	}
	return nil
}
