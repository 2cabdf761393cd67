package parse

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files beside the payloads in testdata")

// parsers has the parser of each folder of testdata.
var parsers = map[string]func([]byte) (Verdict, error){"stk": STK, "b2c": B2C, "timeout": B2CTimeout}

// TestGolden compares the verdict of each payload of testdata with the golden file
// beside it.
func TestGolden(t *testing.T) {
	for folder, parse := range parsers {
		for _, file := range payloads(t, folder) {
			t.Run(folder+"/"+filepath.Base(file), func(t *testing.T) {
				body, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				got := describe(parse(body))
				golden := strings.TrimSuffix(file, ".json") + ".golden"
				if *update {
					if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("the verdict is\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

// payloads lists the files of a folder of testdata.
func payloads(t testing.TB, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "testdata", folder, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no payloads in testdata/%s: %v", folder, err)
	}
	return files
}

// describe writes down what a parser returns: the fields of a verdict that are not
// zero, and its code, of which zero says something.
func describe(v Verdict, err error) string {
	if err != nil {
		if v != (Verdict{}) {
			return fmt.Sprintf("error: %v, beside %+v\n", err, v)
		}
		return fmt.Sprintf("error: %v\n", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s of a %s, code %d\n", v.Status, v.Kind, v.Code)
	at := ""
	if !v.At.IsZero() {
		at = v.At.Format(time.RFC3339)
	}
	amount := ""
	if v.Amount != 0 {
		amount = fmt.Sprint(v.Amount)
	}
	for _, field := range [][2]string{
		{"id", v.ID}, {"conversation", v.Conversation}, {"receipt", v.Receipt}, {"amount", amount},
		{"receiver", v.Receiver}, {"reason", v.Reason}, {"at", at}, {"warning", v.Warning},
	} {
		if field[1] != "" {
			fmt.Fprintf(&b, "%s: %q\n", field[0], field[1])
		}
	}
	return b.String()
}
