package main

import (
	"errors"
	"maps"
	"os"
	"strings"
	"testing"
)

func TestReadEnvFile(t *testing.T) {
	file := t.TempDir() + "/.env"
	content := "\ufeffA=1\n# a comment\nexport B = \"two # words\" # a comment\n#C=3\nD='x=y'\nnoise\nE=z # a comment\nF=a#b\nG= # nothing\r\n"
	want := map[string]string{"A": "1", "B": "two # words", "D": "x=y", "E": "z", "F": "a#b", "G": ""}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readEnvFile(file)
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("readEnvFile = %q, %v; want %q", got, err, want)
	}
	if got, err := readEnvFile(file + "x"); len(got) != 0 || err != nil {
		t.Errorf("readEnvFile of no file = %q, %v, want nothing", got, err)
	}
	if _, err := readEnvFile(t.TempDir()); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("readEnvFile of a folder = %v, want an error", err)
	}
}

// TestSettings: all that is wrong is said at once, in words that say what to write.
func TestSettings(t *testing.T) {
	right := map[string]string{"APPWRITE_ENDPOINT": "https://fra.cloud.appwrite.io/v1", "APPWRITE_PROJECT_ID": "p", "APPWRITE_API_KEY": "standard_k"}
	const end = " (set what is named in the environment or in none)"
	const noKey = "APPWRITE_API_KEY is missing (Console → Overview → Integrations → API keys)"
	for name, tt := range map[string]struct {
		change map[string]string
		want   string
	}{
		"right":              {nil, ""},
		"nothing":            {map[string]string{"APPWRITE_ENDPOINT": "", "APPWRITE_PROJECT_ID": "", "APPWRITE_API_KEY": ""}, "APPWRITE_ENDPOINT is missing; APPWRITE_PROJECT_ID is missing; " + noKey},
		"no key":             {map[string]string{"APPWRITE_API_KEY": " "}, noKey},
		"no scheme":          {map[string]string{"APPWRITE_ENDPOINT": "fra.cloud.appwrite.io/v1"}, "APPWRITE_ENDPOINT must begin with https://"},
		"no scheme but port": {map[string]string{"APPWRITE_ENDPOINT": "localhost:80/v1"}, "APPWRITE_ENDPOINT must begin with https://"},
		"another scheme":     {map[string]string{"APPWRITE_ENDPOINT": "ftp://fra.cloud.appwrite.io/v1"}, "APPWRITE_ENDPOINT must begin with https://"},
		"function's id":      {map[string]string{"APPWRITE_FUNCTION_ID": "bad id"}, `APPWRITE_FUNCTION_ID is no id: "bad id"`},
		"domain with scheme": {map[string]string{"APPWRITE_FUNCTION_DOMAIN": "https://a.functions.example.com"}, "APPWRITE_FUNCTION_DOMAIN must be a domain alone: write a.functions.example.com"},
		"domain with slash":  {map[string]string{"APPWRITE_FUNCTION_DOMAIN": "a.functions.example.com/"}, "APPWRITE_FUNCTION_DOMAIN must be a domain alone: write a.functions.example.com"},
		"two at once":        {map[string]string{"APPWRITE_API_KEY": "", "APPWRITE_FUNCTION_ID": "_a"}, noKey + `; APPWRITE_FUNCTION_ID is no id: "_a"`},
	} {
		t.Run(name, func(t *testing.T) {
			env := maps.Clone(right)
			maps.Copy(env, tt.change)
			_, err := readSettings(func(name string) string { return env[name] }, "none")
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("error %v, want none", err)
			case tt.want != "" && (err == nil || err.Error() != tt.want+end):
				t.Errorf("error %v, want %s", err, tt.want+end)
			}
		})
	}
}

// TestUsage: what cannot be meant is refused, and -h says what there is.
func TestUsage(t *testing.T) {
	for _, arguments := range []string{"-check -replay", "-replay x", "-check -", "deploy", "-replay - x", "-check -secrets", "-secrets -replay", "-nonsense"} {
		var out, complaint strings.Builder
		status := run(ctx, strings.Fields(arguments), func(string) string { return "" }, strings.NewReader(""), &out, &complaint)
		if status != 2 || !strings.Contains(complaint.String(), usage) || out.Len() > 0 {
			t.Errorf("%s: exit status %d, said %s", arguments, status, &complaint)
		}
	}
	var out, complaint strings.Builder
	if status := run(ctx, []string{"-h"}, func(string) string { return "" }, nil, &out, &complaint); status != 0 || out.String() != usage || complaint.Len() > 0 {
		t.Errorf("-h: exit status %d, %s%s", status, &out, &complaint)
	}
}
