package main

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// notifier tells systemd how the agent is (sd_notify(3)). Where no systemd
// listens it does nothing.
type notifier struct {
	log      *slog.Logger
	watchdog time.Duration // 0: none
	mu       sync.Mutex    // guards what follows
	said     time.Time     // when STATUS was last sent
}

// statusEvery bounds how often the status line is worked out and sent.
const statusEvery = time.Second

func newNotifier(log *slog.Logger) *notifier {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("watchdog not usable", "err", err)
	}
	return &notifier{log: log, watchdog: interval}
}

// turn is how often the lap must come round to keep the watchdog quiet: three
// times within its interval.
func (n *notifier) turn() time.Duration { return n.watchdog / 3 }

// alive is called by the lap itself, so that a lap that is stuck is noticed.
func (n *notifier) alive(status func() string) {
	if n.watchdog > 0 {
		n.send(daemon.SdNotifyWatchdog)
	}
	n.mu.Lock()
	due := time.Since(n.said) >= statusEvery
	if due {
		n.said = time.Now()
	}
	n.mu.Unlock()
	if due {
		n.send("STATUS=" + status())
	}
}

func (n *notifier) ready() { n.send(daemon.SdNotifyReady) }

// reloading carries the monotonic time, which Type=notify-reload asks for and
// Type=notify ignores.
func (n *notifier) reloading() {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		n.send(daemon.SdNotifyReloading)
		return
	}
	n.send(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, ts.Nano()/1000))
}

func (n *notifier) stopping() { n.send(daemon.SdNotifyStopping) }

func (n *notifier) send(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.log.Debug("systemd not told", "err", err)
	}
}
