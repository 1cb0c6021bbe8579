package main

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/dunlin-io/dunlin/iokernel/control"
)

// topModel is what is on the screen of dunlin top, and what changes it.
//
//	Init, looked ──> wait for the interval ──> dueMsg ──> look ──> lookedMsg ──> rates
//
// It belongs to bubbletea's loop; look runs on goroutines of its own, one at a time.
type topModel struct {
	look     func() (control.Cores, error)
	interval time.Duration
	paint    paint

	width, height int // of the terminal
	last          control.Cores
	rates         *rates // nil: there was only one look
	err           error  // of the last look
}

// dueMsg says that it is time to look, lookedMsg what was seen.
type (
	dueMsg    struct{}
	lookedMsg struct {
		cores control.Cores
		err   error
	}
)

// The screen to write for until the terminal says its size.
const (
	usualWidth  = 80
	usualHeight = 24
)

func newTopModel(look func() (control.Cores, error), interval time.Duration, p paint,
	first control.Cores,
) topModel {
	return topModel{
		look: look, interval: interval, paint: p, last: first,
		width: usualWidth, height: usualHeight,
	}
}

// Init is part of tea.Model.
func (m topModel) Init() tea.Cmd { return m.wait() }

// wait has a look come due after the interval.
func (m topModel) wait() tea.Cmd {
	return tea.Tick(m.interval, func(time.Time) tea.Msg { return dueMsg{} })
}

// Update is part of tea.Model.
func (m topModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		switch msg.String() {
		case "q", "Q", "esc", "ctrl+c":
			return m, tea.Quit
		}
	case dueMsg:
		look := m.look
		return m, func() tea.Msg {
			cores, err := look()
			return lookedMsg{cores, err}
		}
	case lookedMsg:
		if m.err = msg.err; msg.err == nil {
			r := ratesOf(m.last, msg.cores)
			m.rates, m.last = &r, msg.cores
		}
		return m, m.wait()
	}
	return m, nil
}

// View is part of tea.Model.
func (m topModel) View() tea.View {
	v := tea.NewView(m.text())
	v.AltScreen = true
	return v
}

// text is the screen: what does not fit is left out at the end, and said.
func (m topModel) text() string {
	var text string
	if m.rates == nil {
		text = "measuring for " + m.interval.String() + "\n"
	} else {
		text = topText(*m.rates, m.width, m.paint)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	room := max(m.height-1, 1) // the last line is the foot
	if len(lines) > room {
		lines = append(lines[:room-1], "... and more: dunlin cores, or a higher window")
	}
	foot := m.paint.dim("q quits")
	if m.err != nil {
		foot = m.paint.warn(fit(m.err.Error(), m.width))
	}
	return strings.Join(append(lines, foot), "\n")
}
