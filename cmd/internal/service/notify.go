package service

import (
	"context"
	"log/slog"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// notifier speaks to the service manager. Without NOTIFY_SOCKET nobody listens and it does nothing.
type notifier struct{ log *slog.Logger }

// send sends one state. That the manager cannot be told is no reason to stop serving.
func (n notifier) send(state string) {
	if _, err := systemd.SdNotify(false, state); err != nil {
		n.log.Warn("iokernel: cannot notify the service manager", "err", err)
	}
}

func (n notifier) ready(line string) { n.send(systemd.SdNotifyReady + "\nSTATUS=" + line) }

func (n notifier) reloading() {
	n.send(systemd.SdNotifyReloading + "\n" + systemd.SdNotifyMonotonicUsec())
}

func (n notifier) stopping() { n.send(systemd.SdNotifyStopping + "\nSTATUS=stopping") }

// watchdog reports life at half the interval that the manager asks for, until ctx ends. alive
// returns when the daemon's loop has turned: while it does not, nothing is reported, and the
// manager acts.
func (n notifier) watchdog(ctx context.Context, alive func()) {
	interval, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		n.log.Warn("iokernel: no watchdog", "err", err)
	}
	if err != nil || interval == 0 {
		return
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		alive()
		n.send(systemd.SdNotifyWatchdog)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
