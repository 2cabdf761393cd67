package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// cliVersion is that of the Appwrite CLI which this command was tested with.
const cliVersion = "12.0.1"

// pushWithCLI uploads the code with the Appwrite CLI: the executable that
// APPWRITE_CLI names, or the published one through npx. It works on a copy, since
// the CLI writes into the project's file, and with a home of its own, since it
// keeps the key there.
func pushWithCLI(p *project) (string, error) {
	dir, err := os.MkdirTemp("", "daraja-deploy-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := p.copyTo(dir); err != nil {
		return "", err
	}
	cli := []string{"npx", "--yes", "appwrite-cli@" + cliVersion}
	if path := p.get("APPWRITE_CLI"); path != "" {
		cli = []string{path}
	}
	var said strings.Builder
	for _, arguments := range [][]string{
		{"client", "--endpoint", p.config.Endpoint, "--project-id", p.config.ProjectID, "--key", p.key},
		{"push", "functions", "--function-id", p.config.FunctionID, "--force"},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
		command := exec.CommandContext(ctx, cli[0], append(cli[1:], arguments...)...)
		command.Dir = dir
		command.Env = append(os.Environ(), "HOME="+dir+"/home", "NO_COLOR=1", "CI=1")
		output, err := command.CombinedOutput()
		cancel()
		said.WriteString(strings.ReplaceAll(string(output), p.key, "…"))
		if err != nil {
			return "", fmt.Errorf("the Appwrite CLI (%s): %w\n%s", strings.Join(cli, " "), err, &said)
		}
	}
	return said.String(), nil
}

// copyTo writes what is deployed to a folder, and an appwrite.json that names this
// project and this function.
func (p *project) copyTo(dir string) error {
	files, err := deployed()
	if err != nil {
		return err
	}
	content, err := os.ReadFile("appwrite.json")
	if err != nil {
		return err
	}
	var file map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(content)))
	decoder.UseNumber()
	if err := decoder.Decode(&file); err != nil {
		return fmt.Errorf("appwrite.json: %w", err)
	}
	// What the function is like was mended before, and the CLI would undo it.
	function := file["functions"].([]any)[0].(map[string]any)
	f, err := p.function()
	if err != nil {
		return err
	}
	now, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(now, &function); err != nil {
		return err
	}
	for _, name := range []string{"deploymentId", "deploymentCreatedAt", "latestDeploymentId", "latestDeploymentStatus"} {
		delete(function, name)
	}
	file["projectId"], function["$id"] = p.config.ProjectID, p.config.FunctionID
	if files["appwrite.json"], err = json.Marshal(file); err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Join(dir, "home"), 0o700)
}
