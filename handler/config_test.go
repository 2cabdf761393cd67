package handler

import (
	"slices"
	"strings"
	"testing"

	"openruntimes/handler/parse"
)

// complete has every variable, well-formed.
var complete = map[string]string{
	"APPWRITE_FUNCTION_API_ENDPOINT": "https://appwrite.example/v1",
	"APPWRITE_FUNCTION_PROJECT_ID":   "project",
	"APPWRITE_FUNCTION_ID":           "function",
	"DARAJA_DATABASE_ID":             "daraja",
	"DARAJA_COLLECTION_ID":           "payments",
	"DARAJA_B2C_COLLECTION_ID":       "disbursements",
	"DARAJA_ANONYMOUS_READ":          "any",
	"DARAJA_CALLBACK_SECRET":         "0123456789abcdef, fedcba9876543210",
}

// with returns a getenv of the complete settings, some of them changed.
func with(change map[string]string) func(string) string {
	return func(name string) string {
		if value, changed := change[name]; changed {
			return value
		}
		return complete[name]
	}
}

func TestReadConfig(t *testing.T) {
	c := readConfig(with(map[string]string{"DARAJA_DATABASE_ID": " daraja\n"})) // as it was pasted
	for _, tt := range []struct{ name, got, want string }{
		{"endpoint", c.endpoint, "https://appwrite.example/v1"},
		{"project", c.projectID, "project"},
		{"function", c.functionID, "function"},
		{"database", c.databaseID, "daraja"},
		{"payments", c.paymentsID, "payments"},
		{"disbursements", c.disbursementsID, "disbursements"},
		{"anonymous read", c.anonymousRead, "any"},
		{"secrets", strings.Join(c.secrets, "|"), "0123456789abcdef|fedcba9876543210"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.got != tt.want {
				t.Errorf("%q, want %q", tt.got, tt.want)
			}
		})
	}
	if problems := c.problems(); len(problems) != 0 {
		t.Errorf("problems = %q, want none", problems)
	}
}

// TestProblems: each is named, all at once.
func TestProblems(t *testing.T) {
	const noSecret = "DARAJA_CALLBACK_SECRET is not 16 to 64 of a-z, 0-9 and hyphen"
	long := strings.Repeat("x", 64)
	for name, tt := range map[string]struct {
		change map[string]string
		want   []string
	}{
		"what may be missing":   {map[string]string{"DARAJA_B2C_COLLECTION_ID": "", "DARAJA_CALLBACK_SECRET": "", "DARAJA_ANONYMOUS_READ": ""}, nil},
		"no scheme":             {map[string]string{"APPWRITE_FUNCTION_API_ENDPOINT": "appwrite.example"}, []string{"APPWRITE_FUNCTION_API_ENDPOINT is no URL"}},
		"no port":               {map[string]string{"APPWRITE_FUNCTION_API_ENDPOINT": "http://a:b"}, []string{"APPWRITE_FUNCTION_API_ENDPOINT is no URL"}},
		"malformed ids":         {map[string]string{"DARAJA_DATABASE_ID": "a/b", "DARAJA_COLLECTION_ID": "a b"}, []string{"DARAJA_DATABASE_ID is no id", "DARAJA_COLLECTION_ID is no id"}},
		"one collection":        {map[string]string{"DARAJA_B2C_COLLECTION_ID": "payments"}, []string{"DARAJA_B2C_COLLECTION_ID is the collection of payments"}},
		"one that is no id":     {map[string]string{"DARAJA_B2C_COLLECTION_ID": "a b"}, []string{"DARAJA_B2C_COLLECTION_ID is no id"}},
		"read by everybody":     {map[string]string{"DARAJA_ANONYMOUS_READ": "yes"}, []string{"DARAJA_ANONYMOUS_READ is neither empty nor any"}},
		"read, in capitals":     {map[string]string{"DARAJA_ANONYMOUS_READ": "ANY"}, []string{"DARAJA_ANONYMOUS_READ is neither empty nor any"}},
		"a short secret":        {map[string]string{"DARAJA_CALLBACK_SECRET": long[:15]}, []string{noSecret}},
		"the shortest secret":   {map[string]string{"DARAJA_CALLBACK_SECRET": long[:16]}, nil},
		"the longest secret":    {map[string]string{"DARAJA_CALLBACK_SECRET": long}, nil},
		"a long secret":         {map[string]string{"DARAJA_CALLBACK_SECRET": long + "x"}, []string{noSecret}},
		"a secret of capitals":  {map[string]string{"DARAJA_CALLBACK_SECRET": strings.ToUpper(long)}, []string{noSecret}},
		"a secret with a slash": {map[string]string{"DARAJA_CALLBACK_SECRET": long[:20] + "/" + long[:20]}, []string{noSecret}},
		"every kind of letter":  {map[string]string{"DARAJA_CALLBACK_SECRET": "az09-az09-az09-az"}, nil},
		"the second of two":     {map[string]string{"DARAJA_CALLBACK_SECRET": long + ",short"}, []string{noSecret}},
		"a list of none":        {map[string]string{"DARAJA_CALLBACK_SECRET": ","}, []string{noSecret}},
		"a comma too many":      {map[string]string{"DARAJA_CALLBACK_SECRET": long + ","}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := New(with(tt.change)).Problems(); !slices.Equal(got, tt.want) {
				t.Errorf("problems = %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("nothing is set", func(t *testing.T) {
		want := []string{"APPWRITE_FUNCTION_API_ENDPOINT is missing", "APPWRITE_FUNCTION_PROJECT_ID is missing", "APPWRITE_FUNCTION_ID is missing",
			"DARAJA_DATABASE_ID is missing", "DARAJA_COLLECTION_ID is missing"}
		if got := New(func(string) string { return "" }).Problems(); !slices.Equal(got, want) {
			t.Errorf("problems = %q, want %q", got, want)
		}
	})
}

// TestMissing: what is malformed stops nothing, what is missing only what needs it.
func TestMissing(t *testing.T) {
	for name, tt := range map[string]struct {
		change                 map[string]string
		payment, disbursements []string
	}{
		"complete":      {nil, nil, nil},
		"malformed":     {map[string]string{"APPWRITE_FUNCTION_API_ENDPOINT": "x", "DARAJA_DATABASE_ID": "a/b", "DARAJA_CALLBACK_SECRET": "x"}, nil, nil},
		"no payments":   {map[string]string{"DARAJA_COLLECTION_ID": ""}, []string{"DARAJA_COLLECTION_ID is missing"}, nil},
		"no payouts":    {map[string]string{"DARAJA_B2C_COLLECTION_ID": " "}, nil, []string{"DARAJA_B2C_COLLECTION_ID is missing"}},
		"no database":   {map[string]string{"DARAJA_DATABASE_ID": ""}, []string{"DARAJA_DATABASE_ID is missing"}, []string{"DARAJA_DATABASE_ID is missing"}},
		"no project":    {map[string]string{"APPWRITE_FUNCTION_PROJECT_ID": ""}, []string{"APPWRITE_FUNCTION_PROJECT_ID is missing"}, []string{"APPWRITE_FUNCTION_PROJECT_ID is missing"}},
		"no secret":     {map[string]string{"DARAJA_CALLBACK_SECRET": ""}, nil, nil},
		"nobody else's": {map[string]string{"DARAJA_ANONYMOUS_READ": ""}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := readConfig(with(tt.change))
			if got := c.missing(parse.Payment); !slices.Equal(got, tt.payment) {
				t.Errorf("a payment lacks %q, want %q", got, tt.payment)
			}
			if got := c.missing(parse.Disbursement); !slices.Equal(got, tt.disbursements) {
				t.Errorf("a disbursement lacks %q, want %q", got, tt.disbursements)
			}
		})
	}
}

// TestNewIsWhole: the function has the clock of the platform and connections to share.
func TestNewIsWhole(t *testing.T) {
	f := New(with(nil))
	if f.clock.oneCall != newClock().oneCall || f.clock.now == nil || f.clock.wait == nil || f.clock.timeout == nil {
		t.Errorf("the clock is %+v, want that of newClock", f.clock)
	}
	if f.documents("a").Transport != f.documents("b").Transport {
		t.Error("two requests do not share their connections")
	}
}
