package config

import (
	"errors"
	"fmt"
)

// Problem is one thing wrong with a configuration. Errors of Load and Validate are joined Problems.
type Problem struct {
	Key   string // the setting, like xdp.mode or runtimes[0].uids; empty for the file as a whole
	Where string // file:line:column, the name of a flag or of a variable; empty for a default
	Text  string // what is wrong and what to do
}

func (p *Problem) Error() string {
	text := p.Text
	if p.Key != "" {
		text = p.Key + ": " + text
	}
	if p.Where != "" {
		text = p.Where + ": " + text
	}
	return text
}

// problems collects what is wrong, so that a user is told of everything at once.
type problems []*Problem

func (p *problems) add(key, format string, args ...any) {
	*p = append(*p, &Problem{Key: key, Text: fmt.Sprintf(format, args...)})
}

func (p *problems) addAt(where, key, format string, args ...any) {
	*p = append(*p, &Problem{Key: key, Where: where, Text: fmt.Sprintf(format, args...)})
}

func (p problems) err() error {
	errs := make([]error, len(p))
	for i, problem := range p {
		errs[i] = problem
	}
	return errors.Join(errs...)
}
