package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/cmd/internal/exit"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// signalRoom is how many signals may come before the program has started. (guess)
const signalRoom = 16

// lastBreath is how long what the program has killed on its way out may take to die before we speak
// of it as left behind. (guess: at SCHED_IDLE on a busy CPU dying takes its time)
const lastBreath = 100 * time.Millisecond

// catchSignals takes the signals that are the program's. What we were started to ignore, as by
// nohup, the program shall ignore too.
func catchSignals() (signals chan os.Signal, stop func()) {
	signals = make(chan os.Signal, signalRoom)
	for _, s := range []os.Signal{
		unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2,
	} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	return signals, func() { signal.Stop(signals) }
}

// supervise runs the program until it ends, whatever the iokernel does meanwhile.
func (g *guest) supervise(client *control.Client, program *exec.Cmd,
	signals <-chan os.Signal,
) error {
	// What outlives its parent becomes our child, so that we know of it at the end.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become a subreaper: %w", err)
	}
	if err := apart(func() error { return startIdle(program, g.cpus) }); err != nil {
		return err
	}
	ended := make(chan unix.WaitStatus, 1)
	go func() { ended <- awaitChild(program.Process.Pid) }()
	gone := client.Done()
	for {
		select {
		case s := <-signals:
			if !fromTerminal(s) {
				_ = program.Process.Signal(s) // fails if it has just ended
			}
		case <-gone:
			g.lost(client.Wait())
			gone = nil
		case status := <-ended:
			if leftChildren() {
				g.say("the program has ended and left processes behind, at SCHED_IDLE on CPUs %s; "+
					"the iokernel does not know of them", config.FormatList(g.cpus))
			}
			return exit.Status(codeOf(status))
		}
	}
}

// apart calls do on a thread of its own, which ends with it: what do changes of its thread stays,
// as a user without privilege cannot go back from SCHED_IDLE.
func apart(do func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() != unix.Getpid() {
			result <- do()
			return
		}
		// The main thread cannot end, and signals are delivered to it. As it is locked here, the
		// next goroutine gets another one.
		result <- apart(do)
		runtime.UnlockOSThread()
	}()
	return <-result
}

// startIdle starts the program at SCHED_IDLE on the CPUs. It inherits both from the calling thread,
// as does all that it starts.
func startIdle(program *exec.Cmd, cpus []int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("run on CPUs %s: %w", config.FormatList(cpus), err)
	}
	idle := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}
	if err := unix.SchedSetAttr(0, &idle, 0); err != nil {
		return fmt.Errorf("run at SCHED_IDLE: %w", err)
	}
	if err := program.Start(); err != nil {
		return cannotRun(err)
	}
	return nil
}

// awaitChild waits for the end of one child, and takes the ends of others, which are processes that
// the program has left to us.
func awaitChild(pid int) (status unix.WaitStatus) {
	for {
		got, err := unix.Wait4(-1, &status, 0, nil)
		if got == pid || err != nil && !errors.Is(err, unix.EINTR) {
			return status
		}
	}
}

// leftChildren reports whether children are alive that do not end right now.
func leftChildren() bool {
	for deadline := time.Now().Add(lastBreath); ; {
		got, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		switch {
		case got > 0 || errors.Is(err, unix.EINTR):
		case err != nil: // ECHILD: there are none
			return false
		case time.Now().After(deadline):
			return true
		default:
			time.Sleep(lastBreath / 20)
		}
	}
}

// codeOf is the exit code for the end of a program, as a shell gives it.
func codeOf(status unix.WaitStatus) exit.Code {
	if status.Signaled() {
		return exit.Code(128 + int(status.Signal()))
	}
	return exit.Code(status.ExitStatus())
}

// fromTerminal reports whether a signal comes from the keyboard of our terminal, which sends it to
// the program as well: the program is in our process group, so that job control works.
func fromTerminal(s os.Signal) bool {
	if s != unix.SIGINT && s != unix.SIGQUIT {
		return false
	}
	terminal, err := os.Open("/dev/tty")
	if err != nil {
		return false // there is none
	}
	defer terminal.Close()
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
