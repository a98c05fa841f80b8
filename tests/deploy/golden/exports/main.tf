# Rendered by tailrace 0.1.0; replaced by the next rendering, unless changed. sha256:66b1a567001cac72cbb02cfc3a1fc8d794c66ed0da924171500c29f762a005b4
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }
}

provider "aws" {
  region = "eu-west-1"
}

variable "worker_image" {
  type        = string
  description = "The container image of the functions that load, by tag or digest: see the README; pushed as tailrace:TAG"
}

data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

resource "aws_sns_topic" "alarms" {
  name = "tailrace-alarms"
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Alarms"
        Effect = "Allow"
        Principal = {
          Service = "cloudwatch.amazonaws.com"
        }
        Action   = ["sns:Publish"]
        Resource = ["arn:${data.aws_partition.current.partition}:sns:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:tailrace-alarms"]
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
    ]
  })
}

resource "aws_sqs_queue" "parked" {
  name                       = "tailrace-parked"
  message_retention_seconds  = 1209600
  sqs_managed_sse_enabled    = true
  visibility_timeout_seconds = 30
}

resource "aws_sqs_queue" "dead_letters" {
  name                       = "tailrace-dead-letters"
  message_retention_seconds  = 1209600
  sqs_managed_sse_enabled    = true
  visibility_timeout_seconds = 360
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.parked.arn
    maxReceiveCount     = 3
  })
}

resource "aws_cloudwatch_metric_alarm" "parked_alarm" {
  alarm_name        = "tailrace-parked"
  alarm_description = "Calls that failed for good wait in the queue tailrace-parked; later calls may have made up for them"
  namespace         = "AWS/SQS"
  metric_name       = "ApproximateNumberOfMessagesVisible"
  dimensions = {
    QueueName = "tailrace-parked"
  }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_scheduler_schedule_group" "schedule_group" {
  name = "tailrace"
}

resource "aws_cloudwatch_log_group" "dead_letters_function_logs" {
  name              = "/aws/lambda/tailrace-dead-letters"
  retention_in_days = 30
}

resource "aws_iam_role" "dead_letters_function_role" {
  name = "tailrace-dead-letters"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Trust"
        Effect = "Allow"
        Principal = {
          Service = "lambda.amazonaws.com"
        }
        Action = ["sts:AssumeRole"]
      },
    ]
  })
}

resource "aws_iam_role_policy" "dead_letters_function_role" {
  name = "dead-letters"
  role = aws_iam_role.dead_letters_function_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Logs"
        Effect = "Allow"
        Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = [
          "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:log-group:/aws/lambda/tailrace-dead-letters:*",
        ]
      },
      {
        Sid      = "Receive"
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
        Resource = [aws_sqs_queue.dead_letters.arn]
      },
      {
        Sid      = "Park"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.parked.arn]
      },
      {
        Sid      = "Tell"
        Effect   = "Allow"
        Action   = ["sns:Publish"]
        Resource = [aws_sns_topic.alarms.arn]
      },
      {
        Sid      = "GivenUp"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::tailrace-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up/*"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
    ]
  })
}

resource "aws_lambda_function" "dead_letters_function" {
  function_name = "tailrace-dead-letters"
  description   = "Describes what failed for good, retries it once, keeps it and tells the topic"
  role          = aws_iam_role.dead_letters_function_role.arn
  memory_size   = 512
  timeout       = 60
  package_type  = "Image"
  image_uri     = var.worker_image
  image_config {
    command = ["tailrace.runtimes.aws_lambda.dead_letters"]
  }
  environment {
    variables = {
      TAILRACE_CONFIG       = "tailrace.toml"
      TAILRACE_TOPIC        = aws_sns_topic.alarms.arn
      TAILRACE_PARKED_QUEUE = aws_sqs_queue.parked.url
    }
  }
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.dead_letters_function_logs.name
  }
  depends_on = [aws_iam_role_policy.dead_letters_function_role]
}

resource "aws_lambda_event_source_mapping" "dead_letters_mapping" {
  function_name    = aws_lambda_function.dead_letters_function.arn
  event_source_arn = aws_sqs_queue.dead_letters.arn
  batch_size       = 1
}

resource "aws_lambda_function_event_invoke_config" "dead_letters_function_retries" {
  function_name                = aws_lambda_function.dead_letters_function.function_name
  maximum_retry_attempts       = 2
  maximum_event_age_in_seconds = 21600
  destination_config {
    on_failure {
      destination = aws_sqs_queue.parked.arn
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "dead_letters_function_errors" {
  alarm_name        = "tailrace-dead-letters-errors"
  alarm_description = "What failed for good, or was given up, could not be seen to; see the function's log"
  namespace         = "AWS/Lambda"
  metric_name       = "Errors"
  dimensions = {
    FunctionName = "tailrace-dead-letters"
  }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_lambda_permission" "given_up_permission" {
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.dead_letters_function.function_name
  principal      = "s3.amazonaws.com"
  source_account = data.aws_caller_identity.current.account_id
  source_arn     = "arn:${data.aws_partition.current.partition}:s3:::tailrace-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up"
}

resource "aws_s3_bucket" "given_up" {
  bucket = "tailrace-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up"
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "given_up" {
  bucket = aws_s3_bucket.given_up.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "given_up" {
  bucket = aws_s3_bucket.given_up.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "given_up" {
  bucket                  = aws_s3_bucket.given_up.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "given_up" {
  bucket = aws_s3_bucket.given_up.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:*"]
        Resource = [
          "arn:${data.aws_partition.current.partition}:s3:::tailrace-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up",
          "arn:${data.aws_partition.current.partition}:s3:::tailrace-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up/*",
        ]
        Condition = {
          Bool = {
            "aws:SecureTransport" = "false"
          }
        }
      },
      {
        Sid       = "OnlyTls12"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:*"]
        Resource = [
          "arn:${data.aws_partition.current.partition}:s3:::tailrace-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up",
          "arn:${data.aws_partition.current.partition}:s3:::tailrace-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.region}-given-up/*",
        ]
        Condition = {
          NumericLessThan = {
            "s3:TlsVersion" = "1.2"
          }
        }
      },
    ]
  })
}

resource "aws_s3_bucket_lifecycle_configuration" "given_up" {
  bucket = aws_s3_bucket.given_up.id
  rule {
    id     = "incomplete-uploads"
    status = "Enabled"
    filter {
      prefix = ""
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_notification" "given_up" {
  bucket = aws_s3_bucket.given_up.id
  lambda_function {
    lambda_function_arn = aws_lambda_function.dead_letters_function.arn
    events              = ["s3:ObjectCreated:*"]
  }
  depends_on = [aws_lambda_permission.given_up_permission]
}

resource "aws_cloudwatch_log_group" "prod_users8ff1665f_tick_logs" {
  name              = "/aws/lambda/tailrace-prod-users-8ff1665f-tick"
  retention_in_days = 30
}

resource "aws_iam_role" "prod_users8ff1665f_tick_role" {
  name = "tailrace-prod-users-8ff1665f-tick"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Trust"
        Effect = "Allow"
        Principal = {
          Service = "lambda.amazonaws.com"
        }
        Action = ["sts:AssumeRole"]
      },
    ]
  })
}

resource "aws_iam_role_policy" "prod_users8ff1665f_tick_role" {
  name = "tick"
  role = aws_iam_role.prod_users8ff1665f_tick_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Logs"
        Effect = "Allow"
        Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = [
          "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:log-group:/aws/lambda/tailrace-prod-users-8ff1665f-tick:*",
        ]
      },
      {
        Sid      = "Landing"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake/tailrace/Prod.Users/*"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "Probe"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake/tailrace/.tailrace/*"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "LandingList"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
          StringLike = {
            "s3:prefix" = ["tailrace/Prod.Users/*"]
          }
        }
      },
      {
        Sid    = "Export"
        Effect = "Allow"
        Action = [
          "dynamodb:DescribeTable",
          "dynamodb:DescribeContinuousBackups",
          "dynamodb:ExportTableToPointInTime",
          "dynamodb:UpdateContinuousBackups",
        ]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/Prod.Users"]
      },
      {
        Sid      = "ExportWatch"
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeExport"]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/Prod.Users/export/*"]
      },
      {
        Sid      = "ExportList"
        Effect   = "Allow"
        Action   = ["dynamodb:ListExports"]
        Resource = ["*"]
      },
      {
        Sid      = "ExportWrite"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:PutObjectAcl", "s3:AbortMultipartUpload"]
        Resource = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake/tailrace/Prod.Users/exports/*"]
        Condition = {
          StringEquals = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "Items"
        Effect   = "Allow"
        Action   = ["dynamodb:BatchGetItem"]
        Resource = ["arn:${data.aws_partition.current.partition}:dynamodb:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:table/Prod.Users"]
      },
      {
        Sid      = "TableKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:DescribeKey"]
        Resource = ["arn:${data.aws_partition.current.partition}:kms:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:key/*"]
        Condition = {
          StringEquals = {
            "kms:ViaService" = "dynamodb.${data.aws_region.current.region}.amazonaws.com"
          }
        }
      },
      {
        Sid      = "Password"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter"]
        Resource = ["arn:${data.aws_partition.current.partition}:ssm:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:parameter/tailrace/pgpass"]
      },
    ]
  })
}

resource "aws_lambda_function" "prod_users8ff1665f_tick" {
  function_name = "tailrace-prod-users-8ff1665f-tick"
  description   = "Publishes, compacts and loads what is due of Prod.Users"
  role          = aws_iam_role.prod_users8ff1665f_tick_role.arn
  memory_size   = 1024
  timeout       = 900
  package_type  = "Image"
  image_uri     = var.worker_image
  image_config {
    command = ["tailrace.runtimes.aws_lambda.on_schedule"]
  }
  reserved_concurrent_executions = 1
  environment {
    variables = {
      TAILRACE_CONFIG           = "tailrace.toml"
      TAILRACE_PGPASS_PARAMETER = "/tailrace/pgpass"
    }
  }
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.prod_users8ff1665f_tick_logs.name
  }
  depends_on = [aws_iam_role_policy.prod_users8ff1665f_tick_role]
}

resource "aws_lambda_function_event_invoke_config" "prod_users8ff1665f_tick_retries" {
  function_name                = aws_lambda_function.prod_users8ff1665f_tick.function_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 300
}

resource "aws_scheduler_schedule" "prod_users8ff1665f_sweep" {
  name                         = "tailrace-prod-users-8ff1665f-sweep"
  description                  = "Looks after Prod.Users, whatever triggers were lost"
  group_name                   = aws_scheduler_schedule_group.schedule_group.name
  schedule_expression          = "rate(5 minutes)"
  schedule_expression_timezone = "UTC"
  flexible_time_window {
    mode = "OFF"
  }
  target {
    arn      = aws_lambda_function.prod_users8ff1665f_tick.arn
    role_arn = aws_iam_role.schedules_role.arn
    input = jsonencode({
      tables = "Prod.Users"
    })
    dead_letter_config {
      arn = aws_sqs_queue.dead_letters.arn
    }
    retry_policy {
      maximum_retry_attempts       = 2
      maximum_event_age_in_seconds = 300
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "prod_users8ff1665f_tick_errors" {
  alarm_name        = "tailrace-prod-users-8ff1665f-tick-errors"
  alarm_description = "The schedule of Prod.Users fails; see the function's log"
  namespace         = "AWS/Lambda"
  metric_name       = "Errors"
  dimensions = {
    FunctionName = "tailrace-prod-users-8ff1665f-tick"
  }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "prod_users8ff1665f_tick_silent" {
  alarm_name        = "tailrace-prod-users-8ff1665f-tick-silent"
  alarm_description = "Nobody has looked after Prod.Users for 15 minutes"
  namespace         = "AWS/Lambda"
  metric_name       = "Invocations"
  dimensions = {
    FunctionName = "tailrace-prod-users-8ff1665f-tick"
  }
  statistic           = "Sum"
  period              = 900
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "prod_users8ff1665f_behind" {
  alarm_name        = "tailrace-prod-users-8ff1665f-behind"
  alarm_description = "No export of Prod.Users is there in time: see `tailrace status`"
  namespace         = "Tailrace"
  metric_name       = "LagSeconds"
  dimensions = {
    Table = "Prod.Users"
  }
  statistic           = "Minimum"
  period              = 900
  evaluation_periods  = 1
  threshold           = 5400
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "prod_users8ff1665f_quarantine" {
  alarm_name        = "tailrace-prod-users-8ff1665f-quarantine"
  alarm_description = "Records of Prod.Users were set aside: see `tailrace quarantine list`"
  namespace         = "Tailrace"
  metric_name       = "Quarantined"
  dimensions = {
    Table = "Prod.Users"
  }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_iam_role" "schedules_role" {
  name = "tailrace-schedules"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Trust"
        Effect = "Allow"
        Principal = {
          Service = "scheduler.amazonaws.com"
        }
        Action = ["sts:AssumeRole"]
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = data.aws_caller_identity.current.account_id
            "aws:SourceArn"     = "arn:${data.aws_partition.current.partition}:scheduler:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:schedule-group/tailrace"
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "schedules_role" {
  name = "schedules"
  role = aws_iam_role.schedules_role.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Invoke"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = [aws_lambda_function.prod_users8ff1665f_tick.arn]
      },
      {
        Sid      = "Failed"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.dead_letters.arn]
      },
    ]
  })
}

resource "aws_s3_bucket" "landing" {
  bucket = "acme-lake"
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "landing" {
  bucket = aws_s3_bucket.landing.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "landing" {
  bucket = aws_s3_bucket.landing.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "landing" {
  bucket                  = aws_s3_bucket.landing.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "landing" {
  bucket = aws_s3_bucket.landing.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:*"]
        Resource  = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake", "arn:${data.aws_partition.current.partition}:s3:::acme-lake/*"]
        Condition = {
          Bool = {
            "aws:SecureTransport" = "false"
          }
        }
      },
      {
        Sid       = "OnlyTls12"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:*"]
        Resource  = ["arn:${data.aws_partition.current.partition}:s3:::acme-lake", "arn:${data.aws_partition.current.partition}:s3:::acme-lake/*"]
        Condition = {
          NumericLessThan = {
            "s3:TlsVersion" = "1.2"
          }
        }
      },
    ]
  })
}

resource "aws_s3_bucket_lifecycle_configuration" "landing" {
  bucket = aws_s3_bucket.landing.id
  rule {
    id     = "incomplete-uploads"
    status = "Enabled"
    filter {
      prefix = ""
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
  rule {
    id     = "quarantine-prod-users-8ff1665f"
    status = "Enabled"
    filter {
      prefix = "tailrace/Prod.Users/quarantine/"
    }
    expiration {
      days = 365
    }
  }
  rule {
    id     = "probes"
    status = "Enabled"
    filter {
      prefix = "tailrace/.tailrace/"
    }
    expiration {
      days = 7
    }
  }
}
